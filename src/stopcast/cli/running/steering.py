"""Pausing, resuming and changing the rate of a run while it goes on: by signals, or by a control file."""

from __future__ import annotations

import asyncio
import signal
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from stopcast.accounts.router import Router
from stopcast.background import Supervisor
from stopcast.cli.display import messages
from stopcast.cli.running.user import User
from stopcast.errors import ConfigurationError
from stopcast.report.opening import own_stream
from stopcast.stopper.task_calls import TaskCalls

_READ_EVERY_SECONDS: Final = 1.0
#: A control file is far shorter. Of a file that is something else, the rest is not read.
_MAX_BYTES: Final = 4096


class Steering:
    """Steers a run, and logs each change.

    A control file is read every second. Whenever it has changed, its lines are executed from top to bottom: ``pause``,
    ``resume``, ``rate N``.
    """

    def __init__(self, stopper: TaskCalls | Router, user: User) -> None:
        self._stopper = stopper
        self._user = user

    @asynccontextmanager
    async def following(self, path: Path | None, supervisor: Supervisor) -> AsyncIterator[None]:
        """Follow a control file, if there is one, while the block lasts."""
        if path is None:
            yield
            return
        reader = supervisor.start(self._follow(path), name=f"reader of --control {path}")
        try:
            yield
        finally:
            await supervisor.end(reader)

    def step(self, signal_number: int) -> None:
        """Slow the run by a tenth of the cap at SIGUSR1, and at last pause it; at SIGUSR2 resume, and speed it up."""
        step = 1 if signal_number == signal.SIGUSR2 else -1
        limiter = self._stopper.limiter
        if self._stopper.paused or not limiter.adjustable:
            self._execute("resume" if step > 0 else "pause")
        elif (tenths := round(10 * limiter.limited_to / limiter.max_per_second) + step) > 0:
            self._limit_to(limiter.max_per_second * min(tenths / 10, 1.0))
        else:
            self._execute("pause")

    def _execute(self, line: str) -> None:
        match line.lower().split():
            case ["pause"]:
                if not self._stopper.paused:
                    self._stopper.pause()
                    self._log("Paused.")
            case ["resume"]:
                if self._stopper.paused:
                    self._stopper.resume()
                    self._log(f"Resumed, {self._rate()}.")
            case ["rate", number]:
                self._limit_to(_number(number))
            case _:
                raise ConfigurationError(f"{line!r} is none of: pause, resume, rate N")

    def _limit_to(self, calls_per_second: float) -> None:
        before = self._rate()
        self._stopper.limit_to(calls_per_second)
        if self._rate() != before:
            self._log(f"From now on {self._rate()}.")

    def _log(self, text: str) -> None:
        self._user.log(text, event="steered")

    def _rate(self) -> str:
        limiter = self._stopper.limiter
        if limiter.adjustable:
            return messages.rate_limit(limiter.limited_to, limiter.max_per_second)
        return "at the full rate"

    async def _follow(self, path: Path) -> None:
        version = None
        while True:
            version, lines = _read(path, version)
            for line in filter(str.strip, lines):
                try:
                    self._execute(line)
                except ConfigurationError as error:
                    self._log(f"{path}: {error}")
            await asyncio.sleep(_READ_EVERY_SECONDS)


def check_control_file(path: Path) -> None:
    """Check that the path can be that of a control file.

    Raises:
        ConfigurationError: it is a directory, a pipe or the like, or its folder does not exist.
    """
    try:
        if own_stream(path) is not None or (path.exists() and not path.is_file()):
            raise ConfigurationError(f"--control {path}: not a regular file")
        if not path.parent.is_dir():
            raise ConfigurationError(f"--control {path}: there is no folder {path.parent}")
    except OSError as error:
        raise ConfigurationError(f"--control {path}: {error.strerror}. Name another file") from None


def _read(path: Path, known: object) -> tuple[object, list[str]]:
    """Return the version of the file, and its lines if that is not the known one."""
    try:
        now = path.stat()
        version = now.st_ino, now.st_mtime_ns, now.st_size
        if version == known or not stat.S_ISREG(now.st_mode):
            return known, []
        with path.open("rb") as file:
            return version, file.read(_MAX_BYTES).decode(errors="replace").splitlines()
    except OSError:
        # It does not exist or cannot be read, so that there is nothing to execute.
        return None, []


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(f"rate {text}: not a number") from None
