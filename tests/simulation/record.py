"""What happened in a world, as its outside sees it: every call, and the log of everything that was of note."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from simulation.loop import Group
from stopcast import Task


@dataclass(slots=True, eq=False)
class Call:
    """One request that was written to a connection.

    Attributes:
        number: of this task's calls, from 1.
        life: the process that sent it.
        sent_at: virtual time.
        arrived_at: virtual time at the API, None where it never arrived.
        verdict: "ok" or the code of the API's answer.
        stopped: whether it stopped the task.
        answered_at: virtual time at which an answer, or the loss of its connection, reached the process; None where
            nothing did.
    """

    task: Task
    number: int
    life: str
    sent_at: float
    account: str
    arrived_at: float | None = None
    verdict: str | None = None
    stopped: bool = False
    answered_at: float | None = None


@dataclass(slots=True)
class Record:
    """Everything that happened.

    Attributes:
        dropped: connections that the other end closed, by life.
        power_cuts: virtual times.
        at_call: what happens when a call was sent: by the life, and the number of the call among those of that life.
        at_refusal: what happens when the API has refused a call, and the answer is on its way: by the life.
    """

    calls: list[Call] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    power_cuts: list[float] = field(default_factory=list)
    at_call: dict[tuple[str, int], Callable[[], object]] = field(default_factory=dict)
    at_refusal: dict[str, Callable[[], object]] = field(default_factory=dict)
    _numbers: Counter[Task] = field(default_factory=Counter)
    _of_lives: Counter[str] = field(default_factory=Counter)

    def sent(self, group: Group | None, headers: dict[str, str], body: bytes, now: float) -> Call:
        """Add a request that was written to a connection."""
        ids = orjson.loads(body)
        task = Task(ids["AppId"], ids["RoomId"], ids["TaskId"])
        self._numbers[task] += 1
        account = headers["authorization"].partition("Credential=")[2].partition("/")[0]
        call = Call(task, self._numbers[task], group.name if group else "", now, account)
        self.calls.append(call)
        self._of_lives[call.life] += 1
        if (act := self.at_call.pop((call.life, self._of_lives[call.life]), None)) is not None:
            act()
        return call

    def answered(self, call: Call, verdict: str) -> None:
        """Add the API's verdict to a call."""
        call.verdict = verdict
        if verdict != "ok" and (act := self.at_refusal.pop(call.life, None)) is not None:
            act()

    def note(self, now: float, text: str) -> None:
        """Add a line to the log."""
        self.log.append(f"{now:12.6f} {text}")
