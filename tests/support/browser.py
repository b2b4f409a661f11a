"""A headless Chromium for the tests of the page, driven over its DevTools protocol. Where there is none, they skip."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_OPTIONS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
)


class Tab:
    """One page in the browser, and what it complained of."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._received: list[dict[str, Any]] = []

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command, and return its result; events that arrive meanwhile are kept."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while (answer := await self._socket.receive_json()).get("id") != number:
            self._received.append(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    async def open(self, path: Path) -> None:
        """Open a file, and return once it is loaded."""
        for domain in ("Runtime", "Log", "Network", "Page"):
            await self.command(f"{domain}.enable")
        await self.command("Page.navigate", url=path.as_uri())
        while not self.events("Page.loadEventFired"):
            self._received.append(await self._socket.receive_json())

    async def evaluate(self, expression: str) -> Any:
        """Return what a script comes to."""
        result = await self.command("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def type_into(self, field: str, text: str) -> None:
        """Put a text in the place of what a field holds, as a person would."""
        await self.evaluate(f"document.querySelector({json.dumps(field)}).select()")
        await self.command(
            "Input.dispatchKeyEvent", type="keyDown", key="Delete", code="Delete", windowsVirtualKeyCode=46
        )
        await self.command("Input.insertText", text=text)

    def events(self, method: str) -> list[dict[str, Any]]:
        """Return the events of one kind so far."""
        return [event["params"] for event in self._received if event.get("method") == method]

    @property
    def complaints(self) -> list[object]:
        """Errors of scripts, what they logged, and what the browser blocked."""
        methods = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [params for method in methods for params in self.events(method)]


@contextmanager
def chromium() -> Iterator[str]:
    """Run a headless Chromium while the block lasts, and return the host and port of its DevTools."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium); the page was not opened in one")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        subprocess.Popen(
            [program, *_OPTIONS, f"--user-data-dir={profile}", "about:blank"], stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        try:
            assert process.stderr is not None
            address = next(filter(None, (re.search(r"ws://([^/]+)/", line) for line in process.stderr)), None)
            assert address, "Chromium ended before it listened"
            # Chromium must not wait for room in the pipe.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield address[1]
        finally:
            process.terminate()


@asynccontextmanager
async def tab_of(path: Path, browser: str) -> AsyncIterator[Tab]:
    """Open a file in a new tab of the browser, and close the tab at the end."""
    async with aiohttp.ClientSession(f"http://{browser}") as session:
        async with session.put("/json/new?about:blank") as answer:
            target = await answer.json()
        try:
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                tab = Tab(socket)
                await tab.open(path)
                yield tab
        finally:
            async with session.get(f"/json/close/{target['id']}"):
                pass
