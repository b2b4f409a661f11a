"""One simulated process: a program on the world's loop, which can be stopped, continued and killed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from simulation.loop import Group, SimulatedLoop
from simulation.record import Record
from stopcast.cli.running.ending import Ended
from stopcast.errors import AppsRefusedError

if TYPE_CHECKING:
    from simulation.library import Use
    from simulation.worker import Work


class Process:
    """A run of a program.

    Attributes:
        group: what it is for the loop.
        ended: how the command ended, None while it runs and for one that was killed or raised.
        use: of the library, where the program uses it.
        work: of a queue's worker, where the program is one.
        status: its exit status.
        error: what it raised that the command does not expect.
        started_at: virtual time.
        ended_at: virtual time.
        killed_at: virtual time, None for one that was not killed.
        first_signal_at: virtual time at which the first signal has taken effect.
        until: virtual time at which it has to have ended, by its own options.
    """

    def __init__(
        self, name: str, program: Callable[[Process], Coroutine[Any, Any, None]], loop: SimulatedLoop, record: Record
    ) -> None:
        self.group = Group(name)
        self._program = program
        self.ended: Ended | None = None
        self.use: Use | None = None
        self.work: Work | None = None
        self.status: int | None = None
        self.error: BaseException | None = None
        self.cancelled = False
        self.started_at = loop.time()
        self.ended_at: float | None = None
        self.killed_at: float | None = None
        self.first_signal_at: float | None = None
        self.second_signal_at: float | None = None
        self.until: float | None = None
        self._loop = loop
        self._record = record
        self.over = asyncio.Event()
        self.main: asyncio.Task[None] = self.group.context.run(
            loop.create_task, self._main(), context=self.group.context
        )

    async def _main(self) -> None:
        try:
            await self._program(self)
        except asyncio.CancelledError:
            self.cancelled = True
        except Exception as error:  # noqa: BLE001 - a judge reports it
            self.error = error
        self.ended_at = self._loop.time()
        self._note(f"ends with status {self.status}" + (f": {self.error!r}" if self.error else ""))
        self.over.set()

    def _note(self, text: str) -> None:
        self._record.note(self._loop.time(), f"{self.group.name} {text}")

    @property
    def running(self) -> bool:
        """Whether it has neither ended nor been killed."""
        return self.group.alive and self.ended_at is None

    @property
    def done(self) -> bool:
        """Whether it went through all that it was given. A run does so as well where each AppId is refused."""
        refused = self.ended is not None and isinstance(self.ended.error, AppsRefusedError)
        return self.status in {0, 1} or refused

    def kill(self) -> None:
        """Let it do nothing any more."""
        if self.running:
            self._note("is killed")
            self.group.alive = False
            self.killed_at = self._loop.time()
            for wire in self.group.wires:
                wire.lost()
            self.over.set()

    def stop(self) -> None:
        """Send SIGSTOP."""
        if self.running:
            self._note("is stopped")
            self._loop.freeze(self.group)

    def go_on(self) -> None:
        """Send SIGCONT."""
        if self.running and self.group.frozen:
            self._note("goes on")
            self._loop.thaw(self.group)

    def send(self, number: int) -> None:
        """Send a signal."""
        handler = self.group.handlers.get(number)
        if self.running and callable(handler):
            self._note(f"gets signal {number}")
            self._do(self._signalled, handler, number)

    def _signalled(self, handler: Callable[[int, Any], object], number: int) -> None:
        handler(number, None)
        if number not in {signal.SIGUSR1, signal.SIGUSR2}:
            # The handler acts in the next turn of the loop, after the steps that are ready now. Each may stand still.
            self._do(self._acted_on_signal)

    def _acted_on_signal(self) -> None:
        if self.first_signal_at is None:
            self.first_signal_at = self._loop.time()
        elif self.second_signal_at is None:
            self.second_signal_at = self._loop.time()

    def cancel(self) -> None:
        """Cancel its main task, as a program does that runs the command's job as part of itself."""
        if self.running:
            self._note("is cancelled")
            self._do(self.main.cancel)

    def _do(self, act: Callable[..., object], *arguments: Any) -> None:
        self._loop.call_soon(act, *arguments, context=self.group.context.copy())
