"""The event loop of a world, on virtual time. Processes are groups of tasks on it, told apart by their context."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from itertools import count
from typing import Any, Final

#: What one turn of the loop takes.
_TURN: Final = 1e-6
#: Unix time at which virtual time begins.
BEGAN_AT: Final = 1_800_000_000.0


class KilledError(BaseException):
    """Ends the step that a killed process is making. Nothing can be done by it any more."""


class Group:
    """A simulated process, as the loop sees it: whether its callbacks run, and what is left of it.

    Attributes:
        alive: False once it was killed. Its callbacks are dropped.
        frozen: while it is stopped, its callbacks are held back.
        context: its callbacks carry it.
        tasks: all that it ever started. They are kept, so that those of a killed process never run their clean-up.
        handlers: of its signals.
        descriptors: that it has open, and the file that each belongs to.
        wires: connections that it has open.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.frozen = False
        self.held: list[asyncio.Handle] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.handlers: dict[int, Any] = {}
        self.descriptors: dict[int, object] = {}
        self.wires: set[Any] = set()
        self.context: Context = copy_context()
        self.context.run(_group.set, self)


_group: Final[ContextVar[Group | None]] = ContextVar("simulated_process", default=None)


def current_group() -> Group | None:
    """Return the simulated process whose code is running, None for the world's own."""
    return _group.get()


class _Task(asyncio.Task):  # type: ignore[type-arg]
    """A task whose place in a set does not depend on its address."""

    _numbers = count()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._number = next(self._numbers)
        super().__init__(*args, **kwargs)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class Thread:
    """What a thread does, at one moment."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act

    def __call__(self) -> None:
        self._act()


class SimulatedLoop(asyncio.BaseEventLoop):
    """An event loop on virtual time, without sockets and threads.

    Attributes:
        lateness: returns the seconds by which the next timer fires late, because the machine is busy or stands still.
        connect: connects to an address. The network sets it, and ``make_wire``.
        make_wire: returns a transport for a protocol.
        dial: connects a protocol to the Redis of a queue.
        thread_seconds: returns how long the next call in a thread takes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._world = copy_context()
        self.lateness: Callable[[], float] = lambda: 0.0
        self.connect: Callable[[Any], Coroutine[Any, Any, None]]
        self.make_wire: Callable[[Any], Any]
        self.dial: Callable[[Any], Coroutine[Any, Any, Any]]
        self.thread_seconds: Callable[[], float] = lambda: 0.001
        self.set_task_factory(self._make_task)

    @staticmethod
    def _make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **kwargs: Any) -> _Task:
        task = _Task(coroutine, loop=loop, **kwargs)
        if (group := _group.get()) is not None:
            group.tasks.append(task)
        return task

    def time(self) -> float:
        """Return the virtual time."""
        return self._now

    monotonic = time

    def wall_time(self) -> float:
        """Return what ``time.time`` shows."""
        return BEGAN_AT + self._now

    def block(self, seconds: float) -> None:
        """Let this time pass in the step that runs now: nothing else on the loop runs meanwhile."""
        self._now += seconds

    def at(self, moment: float, act: Callable[..., object], *arguments: Any) -> None:
        """Let the world act at a moment, whatever becomes of the process that runs now."""
        self.call_at(moment, act, *arguments, context=self._world.copy())

    def freeze(self, group: Group) -> None:
        """Stop a process, as SIGSTOP does."""
        group.frozen = True

    def thaw(self, group: Group) -> None:
        """Continue a process. What has arrived comes before the timers that are due, as after a ``select``."""
        group.frozen = False
        held = sorted(group.held, key=lambda handle: isinstance(handle, asyncio.TimerHandle))
        group.held.clear()
        self._ready.extend(held)  # type: ignore[attr-defined]

    def _run_once(self) -> None:
        ready: Any = self._ready  # type: ignore[attr-defined]
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        while scheduled and scheduled[0].cancelled():
            heapq.heappop(scheduled)._scheduled = False  # type: ignore[attr-defined]
        if not ready and scheduled and scheduled[0].when() > self._now:
            self._now = scheduled[0].when() + self.lateness()
        self._now += _TURN
        while scheduled and scheduled[0].when() <= self._now:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False  # type: ignore[attr-defined]
            ready.append(handle)
        if not ready:
            raise RuntimeError("nothing will ever happen again")
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                self._run(handle)

    def _run(self, handle: Any) -> None:
        group: Group | None = handle._context.get(_group)
        if group is not None:
            if not group.alive:
                return
            if group.frozen:
                group.held.append(handle)
                return
        handle._run()

    def _write_to_self(self) -> None:
        """Do nothing: there are no other threads."""

    def _process_events(self, event_list: Any) -> None:
        """Do nothing: there are no sockets."""

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]  # noqa: ARG002
        """Run the function on the loop, some time later."""
        return self.run_blocking(lambda: func(*args))

    def run_blocking(self, act: Callable[[], Any]) -> asyncio.Future[Any]:
        """Run a function that stands in for a thread's, and return a future of its result."""
        future: asyncio.Future[Any] = self.create_future()

        def run() -> None:
            try:
                result, error = act(), None
            except Exception as raised:  # noqa: BLE001 - it is raised where the future is awaited
                result, error = None, raised
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        self.start_thread(run)
        return future

    def start_thread(self, act: Callable[[], None]) -> None:
        """Let a function that stands in for a thread's run some time later."""
        self.call_later(self.thread_seconds(), Thread(act))

    async def sock_connect(self, _: Any, address: Any) -> None:
        """Connect over the simulated network. The real socket is never used."""
        await self.connect(address)

    async def create_connection(self, protocol_factory: Any, *_: Any, **kwargs: Any) -> Any:
        """Return a simulated connection, in the place of the socket."""
        protocol = protocol_factory()
        if "sock" not in kwargs:
            return await self.dial(protocol), protocol
        kwargs["sock"].close()
        return self.make_wire(protocol), protocol


class InlineCalls:
    """Stands in for ``stopcast.report.blocking.BlockingCalls``: the same order, without a thread."""

    def __init__(self, name: str) -> None:  # noqa: ARG002 - the thread's
        self._loop: Any = asyncio.get_running_loop()
        self._last: asyncio.Future[None] | None = None

    def start(self, call: Callable[[], None]) -> asyncio.Future[None]:
        """Run the call after those before it."""
        if self._last is None or self._last.done():
            self._last = self._loop.run_blocking(call)
            return self._last
        future: asyncio.Future[None] = self._loop.create_future()

        def go_on(_: object) -> None:
            self._loop.run_blocking(call).add_done_callback(copy)

        def copy(done: asyncio.Future[None]) -> None:
            error = done.exception()
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

        self._last.add_done_callback(go_on)
        self._last = future
        return future

    def stop(self) -> None:
        """Do nothing: there is no thread to end."""


class InlineThread:
    """Stands in for ``threading.Thread``: its function runs on the loop."""

    def __init__(self, target: Callable[[], None], name: str = "", *, daemon: bool = False) -> None:  # noqa: ARG002
        self._target = target

    def start(self) -> None:
        """Run the function a little later."""
        loop: Any = asyncio.get_running_loop()
        loop.start_thread(self._target)
