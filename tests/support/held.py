"""An API inside the process that holds its answers until the test lets them go, for any event loop and any caller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs

import orjson
import pytest

from stopcast import OutcomeStream, RetryPolicy, Router, Status, Stopper, Task, Unlimited, Verifier, ports
from stopcast.events import Event, TaskFinished
from stopcast.ports import Gate, Request
from stopcast.sandbox import SANDBOX_CREDENTIALS
from stopcast.sandbox.answers import refusal
from stopcast.stopper.task_calls import TaskCalls

Calls: TypeAlias = Stopper | Verifier | Router
#: A retry that no test waits for.
LATER: Final = RetryPolicy(first_wait_seconds=600.0, longest_wait_seconds=600.0)
#: A retry at once.
AT_ONCE: Final = RetryPolicy(first_wait_seconds=0.0001, longest_wait_seconds=0.0001)
KINDS: Final = ("Stopper", "Verifier", "Router")
of_each_kind: Final = pytest.mark.parametrize("kind", KINDS)


class HeldApi:
    """Answers each call with what was set for its task, once the test releases it."""

    def __init__(self) -> None:
        self.sent: list[Task] = []
        #: Tasks whose next answer is this refusal, which comes at once.
        self.refusals: dict[Task, str] = {}
        self._held: list[asyncio.Future[None]] = []
        self._free = False

    async def send(self, request: Request, gate: Gate) -> ports.Answer:
        task = _task_of(request)
        await gate.permit()
        gate.admit()
        self.sent.append(task)
        if (code := self.refusals.pop(task, None)) is not None:
            answer = refusal({}, code)
            return ports.Answer(answer.status, answer.headers, answer.body)
        if not self._free:
            held = asyncio.get_running_loop().create_future()
            self._held.append(held)
            try:
                await held
            finally:
                self._held.remove(held)
        result: Any = "ok" if request.body else {"WebCastTask": {"Status": 3}}
        return ports.Answer(200, {}, orjson.dumps({"ResponseMetadata": {}, "Result": result}))

    @property
    def held(self) -> int:
        """The calls in flight that wait for their answer."""
        return len(self._held)

    def release(self) -> None:
        """Answer the calls in flight, and each later one at once."""
        self._free = True
        for held in self._held:
            if not held.done():
                held.set_result(None)

    @staticmethod
    async def until(condition: Callable[[], bool]) -> None:
        """Return when the condition holds."""
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0)


def _task_of(request: Request) -> Task:
    if request.body:
        ids = orjson.loads(request.body)
        return Task(ids["AppId"], ids["RoomId"], ids["TaskId"])
    query = parse_qs(request.query)
    return Task(query["AppId"][0], query["RoomId"][0], query["TaskId"][0])


@dataclass(slots=True)
class Opened:
    """Something that makes calls, and the events of its calls."""

    calls: Calls
    events: list[Event] = field(default_factory=list)

    def stream(self, given: Any) -> OutcomeStream:
        return self.calls.verify_all(given) if isinstance(self.calls, Verifier) else self.calls.stop_all(given)

    async def one(self, task: Task) -> Any:
        return await (self.calls.verify(task) if isinstance(self.calls, Verifier) else self.calls.stop(task))

    def finished(self) -> dict[Task, Any]:
        """Return the outcome of each task that observers saw."""
        return {event.outcome.task: event.outcome for event in self.events if isinstance(event, TaskFinished)}


def made(kind: str, api: HeldApi, **settings: Any) -> Opened:
    """Return a caller of this kind that is not entered yet, with three calls at once."""
    events: list[Event] = []
    settings = {"limiter": Unlimited(), "retry": LATER, "max_at_once": 3, **settings}

    def make(cls: type[TaskCalls]) -> Any:
        return cls(
            SANDBOX_CREDENTIALS, endpoint="http://127.0.0.1", transport=api, observers=[events.append], **settings
        )

    if kind == "Router":
        return Opened(Router({"only": make(Stopper)}, {"*": "only"}), events)
    return Opened(make(Verifier if kind == "Verifier" else Stopper), events)


@asynccontextmanager
async def opened(kind: str, api: HeldApi, **settings: Any) -> AsyncIterator[Opened]:
    """Open a caller of this kind."""
    caller = made(kind, api, **settings)
    async with caller.calls:
        yield caller


def good(kind: str) -> Status:
    """Return the good status of a task that was in flight."""
    return Status.ENDED if kind == "Verifier" else Status.STOPPED
