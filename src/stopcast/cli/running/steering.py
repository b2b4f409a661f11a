"""Steering a run while it goes on, by signals, by a control file or by keys: three ways to the same actions."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from stopcast.accounts.router import Router
from stopcast.background import Supervisor
from stopcast.cli.display import messages
from stopcast.cli.user import User
from stopcast.errors import ConfigurationError
from stopcast.i18n import _
from stopcast.marking import N_
from stopcast.stopper.task_calls import TaskCalls
from stopcast.threads import in_thread

_READ_EVERY_SECONDS: Final = 1.0
#: A control file is far shorter. Of a file that is something else, the rest is not read.
_MAX_BYTES: Final = 4096


class Steering:
    """Steers a run, and logs each change.

    A control file is read every second. Whenever it has changed, its lines are executed from top to bottom: words of
    ``ACTIONS``, or ``rate N``.

    Args:
        stopper: whose calls are steered.
        user: reads the log.
        end: ends the run as Control-C does.
        control: the control file, None for none.
        ending: returns why the run ends already, so that nothing but its end can be steered.
    """

    def __init__(
        self,
        stopper: TaskCalls | Router,
        user: User,
        end: Callable[[], object],
        control: Path | None = None,
        *,
        ending: Callable[[], object] = lambda: None,
    ) -> None:
        self._stopper = stopper
        self._user = user
        self._end = end
        self._control = control
        self._ending = ending
        self._keys_are_read = False

    def read_keys(self, read: bool) -> None:
        """Record whether keys are read from now on."""
        self._keys_are_read = read

    @asynccontextmanager
    async def following(self, supervisor: Supervisor) -> AsyncIterator[None]:
        """Follow the control file, if there is one, while the block lasts."""
        if self._control is None:
            yield
            return
        reader = supervisor.start(self._follow(self._control), name=f"reader of --control {self._control}")
        try:
            yield
        finally:
            await supervisor.end(reader)

    def receive(self, signal_number: int) -> None:
        """Act on a signal."""
        self._act(next(action for action in ACTIONS if action.signal == signal_number))

    def press(self, key: str) -> None:
        """Act on a key; one that means nothing has no effect."""
        for action in ACTIONS:
            if key in action.keys:
                self._act(action)

    def ways_to_continue(self) -> list[str]:
        """Return what a user may do to let a paused run continue: ``press p`` and ``kill -USR2 4711``."""
        ways = [_("press {key}", key="p")] if self._keys_are_read else []
        ways.append(f"kill -USR2 {os.getpid()}")
        if self._control is not None:
            ways.append(f"echo resume > {shlex.quote(str(self._control))}")
        return ways

    def key_labels(self) -> list[tuple[str, str]]:
        """Return the keys that are read, each with what it does now."""
        if not self._keys_are_read:
            return []
        if self._ending():
            return [("q", _("cut off the calls in flight"))]
        adjustable = self._stopper.limiter.adjustable
        return [
            (action.keys[0], _(action.label))
            for action in ACTIONS
            if action.keys and (adjustable or not action.changes_rate)
        ]

    def log_end(self) -> None:
        """Log that the run ends after the calls in flight, and how to cut them off."""
        text = (
            _("Calls in flight finish; q or Ctrl-C once more cuts them off.")
            if self._keys_are_read
            else _("Calls in flight finish; a second signal cuts them off.")
        )
        self._user.log(text, event="interrupting")

    def pause(self) -> None:
        """Make no further call."""
        if not self._stopper.paused:
            self._stopper.pause()
            self._log(_("Paused. To continue: {ways}", ways=self._ways()))

    def resume(self) -> None:
        """Make calls again."""
        if self._stopper.paused:
            self._stopper.resume()
            self._log(_("Resumed, {rate}.", rate=self._rate()))

    def pause_or_resume(self) -> None:
        """Resume if the run is paused, else pause."""
        (self.resume if self._stopper.paused else self.pause)()

    def slower(self) -> None:
        """Slow the run by a tenth of the cap, and at last pause it."""
        limiter = self._stopper.limiter
        tenths = round(10 * limiter.limited_to / limiter.max_per_second) - 1 if limiter.adjustable else 0
        if tenths > 0 and not self._stopper.paused:
            self._limit_to(limiter.max_per_second * tenths / 10)
        else:
            self.pause()

    def faster(self) -> None:
        """Resume the run if it is paused, else speed it up by a tenth of the cap."""
        limiter = self._stopper.limiter
        if self._stopper.paused or not limiter.adjustable:
            self.resume()
        else:
            tenths = round(10 * limiter.limited_to / limiter.max_per_second) + 1
            self._limit_to(limiter.max_per_second * min(tenths / 10, 1.0))

    def end(self) -> None:
        """End the run as Control-C does: the first time calls in flight finish."""
        self._end()

    def _act(self, action: Action) -> None:
        if action.ends or not self._ending():
            action.act(self)

    def _execute(self, line: str) -> None:
        match line.lower().split():
            case ["rate", number]:
                self._limit_to(_number(number))
            case [word] if found := [action for action in ACTIONS if action.word == word]:
                self._act(found[0])
            case _:
                raise ConfigurationError(_("{line!r} is none of: {words}, rate N", line=line, words=", ".join(_WORDS)))

    def _limit_to(self, calls_per_second: float) -> None:
        before = self._rate()
        self._stopper.limit_to(calls_per_second)
        if self._rate() == before:
            return
        if self._stopper.paused:
            text = _("Still paused; after that {rate}. To continue: {ways}", rate=self._rate(), ways=self._ways())
            self._log(text)
        else:
            self._log(_("From now on {rate}.", rate=self._rate()))

    def _log(self, text: str) -> None:
        self._user.log(text, event="steered")

    def _ways(self) -> str:
        return _(", or ").join(self.ways_to_continue())

    def _rate(self) -> str:
        limiter = self._stopper.limiter
        if limiter.adjustable:
            several = isinstance(self._stopper, Router) and len(self._stopper.stoppers) > 1
            return messages.rate_limit(limiter.limited_to, limiter.max_per_second, each_account=several)
        return _("at the full rate")

    async def _follow(self, path: Path) -> None:
        version = None
        while True:
            # In a thread, because the file may be on a disk that hangs.
            version, lines = await in_thread(partial(_read, path, version), name="control file")
            for line in filter(str.strip, lines):
                try:
                    self._execute(line)
                except ConfigurationError as error:
                    self._log(_("{path}: {error}", path=path, error=error))
            await asyncio.sleep(_READ_EVERY_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something that a user does to a run.

    Attributes:
        act: does it.
        word: in a control file, None if it has none.
        keys: the keys that do it; the first one is shown.
        signal: the signal that does it.
        label: the text beside the key.
        ends: whether it ends the run.
        changes_rate: whether it changes the rate, where that can be changed.
    """

    act: Callable[[Steering], None]
    word: str | None = None
    keys: str = ""
    signal: signal.Signals | None = None
    label: str = ""
    ends: bool = False
    changes_rate: bool = False


#: All actions, and the ways to each. Signals that end a run are in ``signals``.
ACTIONS: Final = (
    Action(act=Steering.pause, word="pause"),
    Action(act=Steering.resume, word="resume"),
    Action(act=Steering.pause_or_resume, keys="p ", label=N_("pause, continue")),
    Action(act=Steering.faster, word="faster", keys="+=", signal=signal.SIGUSR2, label=N_("faster"), changes_rate=True),
    Action(act=Steering.slower, word="slower", keys="-_", signal=signal.SIGUSR1, label=N_("slower"), changes_rate=True),
    Action(act=Steering.end, word="end", keys="q", label=N_("end"), ends=True),
)
_WORDS: Final = tuple(action.word for action in ACTIONS if action.word)


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
