"""The vendor's API: it knows which tasks run, what it refuses, and which call stopped which task."""

from __future__ import annotations

import time
from bisect import bisect_left
from calendar import timegm
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from simulation.loop import BEGAN_AT
from simulation.record import Call, Record
from simulation.world import World
from stopcast import Task
from stopcast.sandbox.answers import Answer, ok, refusal

GONE: Final = "InvalidParameter.ErrorActiveTaskNotFound"
REFUSED: Final = "InvalidParameter"
REFUSED_UNKNOWN: Final = "TaskInQuarantine"
APP_REFUSED: Final = "InvalidParameter.NotExistAppId"
_SIGNATURE_SECONDS: Final = 900


_TEAM: Final = "AKTEAM"


def account_key(number: int) -> str:
    """Return the access key of one of several accounts."""
    return f"{_TEAM}{number}"


def account_number(app_id: str, world: World) -> int:
    """Return which of several accounts an AppId belongs to."""
    return int(app_id.rpartition("-")[2]) % world.accounts


def _account_of(call: Call) -> str:
    return call.account if call.account.startswith(_TEAM) else ""


class Answered(NamedTuple):
    """An answer, and the seconds that the API took for it."""

    answer: Answer
    seconds: float

    def as_bytes(self) -> bytes:
        """Return the answer as it goes over the wire."""
        answer = self.answer
        headers = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        return (
            f"HTTP/1.1 {answer.status} OK\r\n{headers}Content-Length: {len(answer.body)}\r\n\r\n".encode() + answer.body
        )


@dataclass(slots=True)
class Truth:
    """What is true of a task.

    Attributes:
        ends_at: virtual time at which it ends by itself.
        stopped_by: the call that stopped it.
        refusal: the code with which it is refused for good.
    """

    ends_at: float = float("inf")
    stopped_by: Call | None = None
    refusal: str | None = None
    arrivals: list[Call] = field(default_factory=list)


class Api:
    """The API. ``receive`` is called at the moment when a whole request has arrived.

    Attributes:
        truth: of each task.
        calm: whether no fault happens any more.
        clock_ahead: seconds by which its clock is ahead of the world's.
        key: the newest access key; ``keys`` are those that it accepts.
        secret: of all keys.
        expires_at: Unix time until which the newest key is good, None where nobody says.
    """

    def __init__(self, world: World, record: Record, tasks: Iterable[Task], *, key: str, secret: str) -> None:
        self.world = world
        self.record = record
        self.calm = False
        self.clock_ahead = world.between(-3600.0, 3600.0, "clock_off") if world.happens("clock_off") else 0.0
        self.key = key
        self.keys = {key, *(account_key(number) for number in range(world.accounts))}
        self.secret = secret
        self.expires_at: float | None = None
        self.truth = {task: self._drawn(task) for task in tasks}
        self.answers = 0
        #: By account. The keys that replace one another are one account's.
        self.arrivals: dict[str, list[float]] = defaultdict(list)

    def rotate(self, *, keep: bool) -> None:
        """Make another key, and accept the old ones no longer unless they are kept."""
        if self.calm:
            return
        self.key = f"AKSIMULATED{len(self.keys)}x{self.answers}"
        self.keys = {*(self.keys if keep else ()), self.key}

    def _drawn(self, task: Task) -> Truth:
        world, truth = self.world, Truth()
        if world.happens("ended", task):
            truth.ends_at = 0.0
        elif world.happens("ends", task):
            truth.ends_at = world.between(0.0, 30.0, "ends", task)
        if world.happens("app_refused", task.app_id):
            truth.refusal = APP_REFUSED
        elif world.happens("refused", task):
            truth.refusal = REFUSED
        elif world.happens("refused_unknown", task):
            truth.refusal = REFUSED_UNKNOWN
        return truth

    def receive(self, call: Call, headers: dict[str, str], now: float) -> Answered:
        """Carry a call out, and return its answer."""
        call.arrived_at = now
        self.answers += 1
        self.arrivals[_account_of(call)].append(now)
        answer = self._answer(call, headers, now)
        self.record.answered(call, answer.code or "ok")
        self.record.note(now, f"{call.life} {'/'.join(call.task)} call {call.number}: {answer.code}")
        seconds = self.world.between(0.001, 0.03, "service", call.task, call.number)
        return Answered(answer, seconds)

    def _answer(self, call: Call, headers: dict[str, str], now: float) -> Answer:
        clock = BEGAN_AT + now + self.clock_ahead
        subject = (call.task, call.number)
        metadata = {"RequestId": f"{self.answers:08d}", "Action": "StopWebcast"}
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(clock))
        code = self._refusal_of_the_request(call, headers, clock) or self._trouble(call, now)
        if code is not None:
            answer = refusal(metadata, code)
        else:
            answer = self._carry_out(call, metadata, now)
            if self._happens("internal_after", subject):
                answer = refusal(metadata, "InternalError")
        headers = {**answer.headers, "Date": date}
        headers.pop("Retry-After", None)
        if "FlowLimit" in (answer.code or "") and self._happens("retry_after", subject):
            headers["Retry-After"] = str(self.world.pick((1, 5, 30), "retry_after", *subject))
        return answer._replace(headers=headers)

    def _happens(self, kind: str, subject: tuple[Task, int]) -> bool:
        return not self.calm and self.world.happens(kind, *subject)

    def _refusal_of_the_request(self, call: Call, headers: dict[str, str], clock: float) -> str | None:
        signed_at = timegm(time.strptime(headers["x-date"], "%Y%m%dT%H%M%SZ"))
        if abs(signed_at - clock) > _SIGNATURE_SECONDS:
            return "InvalidTimestamp"
        return None if call.account in self.keys else "InvalidAccessKey"

    def set_clock(self, ahead: float) -> None:
        """Let its clock be ahead of the world's."""
        if not self.calm:
            self.clock_ahead = ahead

    def end_faults(self) -> None:
        """Let no fault happen any more."""
        self.calm, self.clock_ahead = True, 0.0

    def _trouble(self, call: Call, now: float) -> str | None:
        subject = (call.task, call.number)
        arrivals = self.arrivals[_account_of(call)]
        # What goes over the cap is throttled.
        if len(arrivals) - bisect_left(arrivals, now - 1.0) > max(1, int(self.world.cap)):
            return "FlowLimitExceeded.QPSOverLimit"
        if self._happens("throttled", subject):
            return "FlowLimitExceeded.QPSOverLimit"
        return "InternalError" if self._happens("internal", subject) else None

    def _carry_out(self, call: Call, metadata: dict[str, str], now: float) -> Answer:
        truth = self.truth.setdefault(call.task, Truth(ends_at=0.0))
        truth.arrivals.append(call)
        if call.account.startswith(_TEAM) and call.account != account_key(account_number(call.task.app_id, self.world)):
            return refusal(metadata, "InvalidParameter.AccountIdMismatch")
        if truth.refusal is not None:
            if truth.refusal == REFUSED_UNKNOWN:
                answer = refusal(metadata, REFUSED)
                body = answer.body.replace(b'"InvalidParameter"', b'"TaskInQuarantine"')
                return answer._replace(code=REFUSED_UNKNOWN, body=body)
            return refusal(metadata, truth.refusal)
        if truth.stopped_by is not None or now >= truth.ends_at:
            return refusal(metadata, GONE)
        truth.stopped_by, call.stopped = call, True
        return ok(metadata)
