"""Attempts without a connection are no calls: nothing was sent in them, and no figure may say so."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from stopcast.sandbox import Emulator
from support.connect_proxy import connect_proxy
from support.page_reader import PageReader
from support.processes import Shell, tasks, write_csv

REPORT = "report.jsonl"
TRIES = ("--max-attempts", "2", "--json")


async def run(shell: Shell, *arguments: str) -> Any:
    """Run a command while this event loop serves, and return the object that it printed."""
    process = shell.start(*arguments)
    out, _err = await asyncio.to_thread(process.communicate)
    return json.loads(out)


@asynccontextmanager
async def away(kind: str) -> AsyncIterator[list[str]]:
    """Yield options for an endpoint that cannot be reached."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        match kind:
            case "a closed port":
                yield ["--endpoint", f"http://127.0.0.1:{port}"]
            case "a name without an address":
                yield ["--endpoint", "https://nowhere.invalid"]
            case "no TLS at the port":
                async with Emulator() as emulator:
                    yield ["--endpoint", emulator.url.replace("http:", "https:")]
            case "a proxy that refuses":
                async with connect_proxy() as proxy:
                    proxy.answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
                    yield ["--endpoint", f"https://127.0.0.1:{port}", "--proxy", proxy.url]


@pytest.mark.parametrize(
    "kind", ["a closed port", "a name without an address", "no TLS at the port", "a proxy that refuses"]
)
@pytest.mark.parametrize("command", ["run", "verify"])
async def test_no_figure_counts_an_attempt_without_a_connection_as_a_call(
    shell: Shell, command: str, kind: str
) -> None:
    name = write_csv(shell / "list.csv", tasks(3))
    async with away(kind) as options:
        totals = await run(shell, command, name, "-o", REPORT, *TRIES, *options)
    assert (totals["calls"], totals["unsent"], totals["worst_second"]) == (0, 6, 0)
    lines = [json.loads(line) for line in (shell / REPORT).read_text().splitlines()]
    assert [(line["attempts"], line["unsent"], line.get("asked")) for line in lines] == [
        (2, 2, True if command == "verify" else None)
    ] * 3
    figures = json.loads(shell.run("summary", REPORT, "--json").out)
    assert (figures["calls"], figures["unsent"], figures["worst_second"]["first_calls"]) == (0, 6, 0)
    assert list(figures["kinds"]) == ["stop" if command == "run" else "verify"]
    assert [code["code"] for code in figures["codes"]] == ["no connection"]
    text = shell.run("summary", REPORT, "--html", "page.html").out + shell.run("summary", REPORT).out
    assert "6 attempts had no connection; nothing was sent in them" in text
    assert "cap" not in text
    page = PageReader((shell / "page.html").read_text())
    (section,) = {section for section, name in page.facts if name == "calls"}
    assert page.facts[section, "calls"] == "0no attempt had a connection"
    assert not [shown for shown in page.facts.values() if "calls a second" in shown or "cap" in shown]


async def test_of_a_task_that_was_sent_after_all_only_the_calls_count(shell: Shell) -> None:
    name = write_csv(shell / "list.csv", tasks(1))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    process = shell.start("run", name, "-o", REPORT, "--json", "--endpoint", f"http://127.0.0.1:{port}", "-v")
    assert process.stderr is not None
    while b"next attempt" not in await asyncio.to_thread(process.stderr.readline):
        pass
    async with Emulator(port=port):
        out, _err = await asyncio.to_thread(process.communicate)
    assert json.loads(out)["statuses"]["stopped"] == 1
    line = json.loads((shell / REPORT).read_text())
    assert line["unsent"] == line["attempts"] - 1 > 0
    figures = json.loads(shell.run("summary", REPORT, "--json").out)
    assert (figures["calls"], figures["unsent"]) == (1, line["unsent"])
    assert figures["latency"]["tasks"] == 0, "it is not known when this call went out"
    assert "1 call for 1 task: 1 took 1\n" in shell.run("summary", REPORT).out


def test_a_report_of_verify_is_known_as_one_even_where_no_task_has_an_answer(shell: Shell) -> None:
    name, closed = write_csv(shell / "list.csv", tasks(2)), ("--endpoint", "http://127.0.0.1:9")
    assert shell.run("verify", name, "-o", REPORT, "--max-attempts", "1", *closed).status == 1
    assert "is a report of `stopcast verify`" in shell.run("run", name, "-o", REPORT, "--resume", *closed).err
    summary = shell.run("summary", REPORT, "--html", "page.html").out + shell.run("summary", REPORT).out
    assert "ask again about the tasks" in summary
    assert "stopcast run" not in summary
    assert "0 of 2 tasks have ended" in (shell / "page.html").read_text()


def test_an_unanswered_attempt_in_a_report_of_the_first_version_was_a_call_only_if_it_left_a_doubt(
    shell: Shell,
) -> None:
    line = {
        "AppId": "a",
        "RoomId": "r",
        "TaskId": "t",
        "status": "gave_up",
        "attempts": 2,
        "finished_at": "2026-11-22T20:00:00.123Z",
        "seconds": 0.2,
        "message": "ClientConnectorError: Cannot connect to host 127.0.0.1:9",
    }
    lines = [line | {"TaskId": "u", "in_doubt": True}, line]
    (shell / REPORT).write_text("".join(f"{json.dumps(each)}\n" for each in lines))
    figures = json.loads(shell.run("summary", REPORT, "--json").out)
    assert (figures["calls"], figures["unsent"]) == (2, 2)
