"""How a run stands: what happened is counted, and looked at now and then."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from stopcast.accounts.router import Router
from stopcast.cli.lists import Lists
from stopcast.cli.lists.remaining import RowsLeft, rows_to_do
from stopcast.cli.options import Options
from stopcast.events import AttemptFinished, Event, RetryPlanned, Throttled
from stopcast.run import Run
from stopcast.stopper.task_calls import TaskCalls
from stopcast.tasks.outcome import Status

#: Calls whose latency is told.
_LATENCIES: Final = 500
#: Codes that are kept apart; they come from outside.
_CODES: Final = 100
#: Seconds over which a rate is told.
_RATE_OVER: Final = 10.0
_FINE: Final = frozenset({"ok", "no_such_task"})


class Trouble(NamedTuple):
    """Answers that were no good, by their code."""

    code: str
    number: int
    message: str
    last_at: float


class Gauges:
    """Counts what a Stopper tells. ``observe`` is the observer.

    Attributes:
        retries: attempts that another one follows.
        throttled: answers that said "too many calls".
        latencies: of the last calls, in seconds, from the permit to the end of the answer.
        troubles: by code, the one that came last at the end.
    """

    def __init__(self) -> None:
        self.retries = 0
        self.throttled = 0
        self.latencies: deque[float] = deque(maxlen=_LATENCIES)
        self.troubles: dict[str, Trouble] = {}

    def observe(self, event: Event) -> None:
        """Count an event."""
        match event:
            case AttemptFinished():
                self.latencies.append(event.answer_seconds)
                if event.verdict not in _FINE:
                    self._count_trouble(event)
            case RetryPlanned():
                self.retries += 1
            case Throttled():
                self.throttled += 1

    def _count_trouble(self, attempt: AttemptFinished) -> None:
        code = attempt.code or (f"HTTP {attempt.http_status}" if attempt.http_status else "no answer")
        before = self.troubles.pop(code, None)
        number = before.number + 1 if before else 1
        self.troubles[code] = Trouble(code, number, attempt.message or "", attempt.finished_at)
        if len(self.troubles) > _CODES:
            del self.troubles[next(iter(self.troubles))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How a run stands at one moment.

    Attributes:
        state: what it does other than stopping tasks, in words; "" if nothing.
        seconds: since it began.
        done: rows that have their outcome.
        bad: lines of the report that are not good.
        to_do: rows that have none yet, None where that is not known.
        seconds_left: None where nobody can tell.
        statuses: lines of the report by status.
        rate: calls a second, lately.
        limited_to: calls a second that somebody allows.
        cap: that are allowed at all.
        rates: calls a second, second by second.
        in_flight: calls.
        waiting: tasks that wait for their next attempt.
        retries: attempts that another one follows.
        throttled: answers that said "too many calls".
        latency_p50: in seconds, None before the first answer.
        latency_p95: likewise.
        troubles: what went wrong, the latest first.
    """

    state: str
    seconds: float
    done: int
    bad: int
    to_do: RowsLeft | None
    seconds_left: float | None
    statuses: Mapping[Status, int]
    rate: float
    limited_to: float
    cap: float
    rates: Sequence[float]
    in_flight: int
    waiting: int
    retries: int
    throttled: int
    latency_p50: float | None
    latency_p95: float | None
    troubles: Sequence[Trouble]


class _Look(NamedTuple):
    at: float
    calls: int
    done: int


class Looking:
    """Looks at a run.

    Attributes:
        options: of the command.
    """

    def __init__(self, run: Run, stopper: TaskCalls | Router, lists: Lists, gauges: Gauges, options: Options) -> None:
        self._run = run
        self._stopper = stopper
        self._lists = lists
        self._gauges = gauges
        self.options = options
        self._loop = asyncio.get_running_loop()
        self._looks = deque([_Look(self._loop.time(), 0, 0)])
        self._rates: deque[float] = deque(maxlen=60)
        self._second = self._looks[0]

    def figures(self) -> Figures:
        """Return how the run stands."""
        run, gauges, stopper = self._run, self._gauges, self._stopper
        limiter = stopper.limiter
        summary, intake = run.summary(), run.intake
        done = run.finished + intake.settled + intake.told_earlier + intake.left_out
        calls_rate, rows_rate = self._look(done)
        to_do = rows_to_do(run, self._lists.rows_left(), limit=self.options.lists.limit)
        latencies = sorted(gauges.latencies)
        cap = limited_to = self.options.calls.max_per_second
        if isinstance(stopper, Router):
            cap, limited_to = stopper.max_per_second, stopper.limited_to
        elif limiter.adjustable:
            limited_to = limiter.limited_to
        return Figures(
            state=self._state(),
            seconds=summary.seconds,
            done=done,
            bad=summary.bad,
            to_do=to_do,
            seconds_left=to_do.number / rows_rate if to_do is not None and rows_rate > 0 else None,
            statuses=summary.statuses,
            rate=calls_rate,
            limited_to=limited_to,
            cap=cap,
            rates=self._rates,
            in_flight=self._stopper.dispatcher.in_flight,
            waiting=self._stopper.dispatcher.waiting,
            retries=gauges.retries,
            throttled=gauges.throttled,
            latency_p50=latencies[len(latencies) // 2] if latencies else None,
            latency_p95=latencies[len(latencies) * 95 // 100] if latencies else None,
            troubles=list(reversed(gauges.troubles.values())),
        )

    def _look(self, done: int) -> tuple[float, float]:
        """Return calls and rows a second, lately."""
        now = _Look(self._loop.time(), self._stopper.meter.calls, done)
        looks = self._looks
        looks.append(now)
        while now.at - looks[1].at >= _RATE_OVER:
            looks.popleft()
        if (seconds := now.at - self._second.at) >= 1:
            self._rates.append((now.calls - self._second.calls) / seconds)
            self._second = now
        then = looks[0]
        seconds = max(now.at - then.at, 0.001)
        return (now.calls - then.calls) / seconds, (now.done - then.done) / seconds

    def _state(self) -> str:
        run = self._run
        if run.ending is not None:
            return f"ending: {run.ending}"
        if run.reading:
            return "reading the report"
        if self._stopper.paused:
            return "paused"
        return f"the first {self.options.guards.canary:,} alone" if run.canary else ""
