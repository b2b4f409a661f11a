"""A run made slower or faster, paused and resumed while it goes on: by signals, or by a file."""

from __future__ import annotations

import asyncio
import signal
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from stopcast.accounts.router import Router
from stopcast.cli.display import messages
from stopcast.cli.output import log
from stopcast.errors import ConfigurationError
from stopcast.ports import AdjustableLimiter
from stopcast.stopper.task_calls import TaskCalls

SIGNALS: Final = (signal.SIGUSR1, signal.SIGUSR2)
_LOOK_EVERY_SECONDS: Final = 1.0
#: More than anybody writes; the rest of a file that is something else is not read.
_MOST_BYTES: Final = 4096


class Steering:
    """Steers a run, and tells the person each time that something has changed.

    A control file is looked at every second. Whenever it has changed, its lines are obeyed from top to bottom:
    ``pause``, ``resume``, ``rate N``.
    """

    def __init__(self, stopper: TaskCalls | Router, *, quiet: bool) -> None:
        self._stopper = stopper
        self._quiet = quiet

    @asynccontextmanager
    async def obeying(self, path: Path | None) -> AsyncIterator[None]:
        """Obey a control file, if there is one to obey, while the block lasts."""
        looking = asyncio.create_task(self._obey_file(path)) if path else None
        try:
            yield
        finally:
            if looking is not None:
                looking.cancel()
                await asyncio.wait([looking])

    def hear(self, number: int) -> None:
        """Obey SIGUSR1, a tenth of the cap slower and at last paused, or SIGUSR2, on again and then faster."""
        step = 1 if number == signal.SIGUSR2 else -1
        if self._stopper.paused:
            self._obey("resume" if step > 0 else "pause")
            return
        limiter = self._stopper.limiter
        if not isinstance(limiter, AdjustableLimiter):
            self._obey("pause" if step < 0 else "resume")
            return
        tenths = round(10 * limiter.limited_to / limiter.max_per_second) + step
        if tenths:
            self._limit_to(limiter.max_per_second * min(tenths / 10, 1.0))
        else:
            self._obey("pause")

    def _obey(self, words: str) -> None:
        match words.lower().split():
            case ["pause"]:
                if not self._stopper.paused:
                    self._stopper.pause()
                    self._say("Paused.")
            case ["resume"]:
                if self._stopper.paused:
                    self._stopper.resume()
                    self._say(f"Going on, {self._rate()}.")
            case ["rate", number]:
                self._limit_to(_number(number))
            case _:
                raise ConfigurationError(f"{words!r} is none of: pause, resume, rate N")

    def _limit_to(self, calls_per_second: float) -> None:
        before = self._rate()
        self._stopper.limit_to(calls_per_second)
        if self._rate() != before:
            self._say(f"From now on {self._rate()}.")

    def _say(self, text: str) -> None:
        if not self._quiet:
            log(text, event="steered")

    def _rate(self) -> str:
        limiter = self._stopper.limiter
        if isinstance(limiter, AdjustableLimiter):
            return messages.rate_limit(limiter.limited_to, limiter.max_per_second)
        return "at the full rate"

    async def _obey_file(self, path: Path) -> None:
        before = None
        while True:
            seen, lines = _read(path, before)
            if seen != before:
                before = seen
                for line in filter(str.strip, lines):
                    try:
                        self._obey(line)
                    except ConfigurationError as error:
                        self._say(f"{path}: {error}")
            await asyncio.sleep(_LOOK_EVERY_SECONDS)


def check_control_file(path: Path) -> None:
    """Find out early that a control file could never be one.

    Raises:
        ConfigurationError: it is a directory, a pipe or the like, or would stand in a folder that is not there.
    """
    if path.exists() and not path.is_file():
        raise ConfigurationError(f"--control {path}: no plain file")
    if not path.parent.is_dir():
        raise ConfigurationError(f"--control {path}: there is no folder {path.parent}")


def _read(path: Path, before: object) -> tuple[object, list[str]]:
    """Return what tells this state of the file from another one, and its lines if that is not ``before``."""
    try:
        now = path.stat()
        seen = now.st_ino, now.st_mtime_ns, now.st_size
        if seen == before or not stat.S_ISREG(now.st_mode):
            return before, []
        with path.open("rb") as file:
            return seen, file.read(_MOST_BYTES).decode(errors="replace").splitlines()
    except OSError:
        # Not there, or not to be read: nothing has been said.
        return None, []


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(f"rate {text}: no number") from None
