"""Snapshots of a run for the live display and the progress lines. Nothing here prints."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from stopcast.accounts.router import Router
from stopcast.cli.display.attempt_stats import AttemptStats, ErrorCount
from stopcast.cli.lists import Lists
from stopcast.cli.lists.remaining import RowsLeft, rows_of
from stopcast.cli.options import Options
from stopcast.errors import InterruptedRunError
from stopcast.i18n import _
from stopcast.ports import Limiter
from stopcast.run import Run
from stopcast.stopper.task_calls import TaskCalls
from stopcast.tasks.outcome import Status

#: Rates are averages over this time.
_RATE_SECONDS: Final = 10.0
#: Throttling is shown where it leaves less than this share of the rate.
_SLOWED: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSnapshot:
    """The state of a run at one moment.

    Attributes:
        state: what the run does instead of stopping tasks, such as "paused"; "" while it stops tasks.
        seconds: since the run began.
        done: rows that have their outcome.
        bad: lines of the report that are not good.
        to_do: rows without an outcome, None where the number is unknown.
        seconds_left: an estimate, None where there is none.
        statuses: lines of the report by status.
        rate: calls a second, averaged over the last seconds.
        limited_to: calls a second that a person has set during the run.
        slowed_to: calls a second that throttling allows now, None if it does not slow the run.
        quota_away: whether the Redis of the shared quota is away.
        cap: the most calls a second.
        rates: calls a second in each of the last seconds.
        in_flight: calls.
        waiting: tasks that wait for their next attempt.
        retries: attempts that were followed by another.
        throttled: answers that said "too many calls".
        latency_p50: in seconds, None before the first answer.
        latency_p95: likewise.
        errors: by code, the latest first.
        paused: whether a person has paused the run.
        to_continue: what a person does to let a paused run continue.
        keys: the keys that are read, each with what it does.
        until: seconds to the deadline, None if there is none.
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
    errors: Sequence[ErrorCount]
    paused: bool = False
    to_continue: Sequence[str] = ()
    slowed_to: float | None = None
    quota_away: bool = False
    keys: Sequence[tuple[str, str]] = ()
    until: float | None = None

    @property
    def commonest_error(self) -> ErrorCount | None:
        """The error code of the most answers, None if there was no error."""
        return max(self.errors, key=lambda error: error.number, default=None)


class Steered(Protocol):
    """The ways in which a person steers the run."""

    def ways_to_continue(self) -> Sequence[str]:
        """Return what a person may do to let a paused run continue."""

    def key_labels(self) -> Sequence[tuple[str, str]]:
        """Return the keys that are read, each with what it does now."""


class _Tick(NamedTuple):
    at: float
    calls: int
    done: int


class RunMonitor:
    """Takes snapshots of a run. Its rates are averages over the snapshots of the last ten seconds."""

    def __init__(
        self,
        run: Run,
        stopper: TaskCalls | Router,
        lists: Lists,
        attempts: AttemptStats,
        options: Options,
        *,
        steering: Steered,
    ) -> None:
        self._steering = steering
        self._run = run
        self._stopper = stopper
        self._lists = lists
        self._attempts = attempts
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._ticks = deque([_Tick(self._loop.time(), 0, 0)])
        self._rates: deque[float] = deque(maxlen=60)
        self._last_second = self._ticks[0]

    def snapshot(self) -> RunSnapshot:
        """Return the state of the run now."""
        run, attempts, stopper = self._run, self._attempts, self._stopper
        summary = run.summary()
        done, to_do = rows_of(run, self._lists.rows_left(), limit=self._options.lists.limit)
        # Rows that the report settles pass at once, and say nothing about how long the others take.
        calls_rate, rows_rate = self._tick(run.finished + run.intake.left_out)
        latencies = sorted(attempts.latencies)
        paused, until = stopper.paused and run.ending is None, self._options.guards.until
        goes_on = run.ending is None and not paused
        cap = limited_to = self._options.calls.max_per_second
        limiters = [stopper.limiter]
        if isinstance(stopper, Router):
            cap, limited_to = stopper.max_per_second, stopper.limited_to
            limiters = [each.limiter for each in stopper.stoppers.values()]
        elif stopper.limiter.adjustable:
            limited_to = stopper.limiter.limited_to
        return RunSnapshot(
            state=self._state(),
            seconds=summary.seconds,
            done=done,
            bad=summary.bad,
            to_do=to_do,
            seconds_left=to_do.number / rows_rate if to_do is not None and rows_rate > 0 and goes_on else None,
            statuses=summary.statuses,
            rate=calls_rate,
            limited_to=limited_to,
            slowed_to=_slowed_to(limiters),
            quota_away=attempts.quota_away,
            cap=cap,
            rates=self._rates,
            in_flight=stopper.dispatcher.in_flight,
            waiting=stopper.dispatcher.waiting,
            retries=attempts.retries,
            throttled=attempts.throttled,
            latency_p50=latencies[len(latencies) // 2] if latencies else None,
            latency_p95=latencies[len(latencies) * 95 // 100] if latencies else None,
            errors=list(reversed(attempts.errors.values())),
            paused=paused,
            to_continue=self._steering.ways_to_continue(),
            keys=self._steering.key_labels(),
            until=None if until is None else max(0.0, until.left_seconds),
        )

    def _tick(self, done: int) -> tuple[float, float]:
        """Return the calls and the rows a second, averaged over the last ten seconds."""
        now = _Tick(self._loop.time(), self._stopper.meter.calls, done)
        ticks = self._ticks
        ticks.append(now)
        while now.at - ticks[1].at >= _RATE_SECONDS:
            ticks.popleft()
        if (seconds := now.at - self._last_second.at) >= 1:
            self._rates.append((now.calls - self._last_second.calls) / seconds)
            self._last_second = now
        oldest = ticks[0]
        seconds = max(now.at - oldest.at, 0.001)
        return (now.calls - oldest.calls) / seconds, (now.done - oldest.done) / seconds

    def _state(self) -> str:
        run = self._run
        if run.ending is not None:
            interrupted = isinstance(run.ending, InterruptedRunError)
            return _("ending: interrupted") if interrupted else _("ending: {why}", why=run.ending)
        if run.reading:
            return _("reading the report")
        if self._stopper.paused:
            return _("paused")
        if run.canary.left:
            return _("only the first {number:,} (canary)", number=self._options.guards.canary)
        return ""


def _slowed_to(limiters: Sequence[Limiter]) -> float | None:
    """Return the calls a second that all limiters together allow now, None if throttling slows none of them."""
    rates = [
        (limiter.rate, limiter.full_rate * limiter.limited_to / limiter.max_per_second)
        for limiter in limiters
        if limiter.rate is not None and limiter.full_rate is not None
    ]
    now, allowed = (sum(rate) for rate in zip(*rates, strict=True)) if rates else (0.0, 0.0)
    return now if len(rates) == len(limiters) and now < _SLOWED * allowed else None
