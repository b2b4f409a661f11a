"""Parts of the caller's own that raise in the middle of a call: the row that was sent has its outcome all the same."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stopcast import BackgroundTaskError, Outcome, Status, StopcastError, Task, Unlimited, ports
from stopcast.ports import Gate, Request
from stopcast.sandbox.answers import Answer, ok, refusal
from support.processes import tasks
from support.virtual import Api, in_virtual_time, virtual_stopper

BROKEN, OTHER, *REST = ROWS = tasks(8)


class BreaksOnce(Api):
    """Stops a task, and raises instead of the answer, for the first call that is made for ``BROKEN``."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(self._stop)
        self._error = error
        self._stopped = set[Task]()

    def _stop(self, task: Task) -> Answer:
        if task in self._stopped:
            return refusal({}, "InvalidParameter.ErrorActiveTaskNotFound")
        self._stopped.add(task)
        return ok({})

    async def send(self, request: Request, gate: Gate) -> ports.Answer:
        answer = await super().send(request, gate)
        if b'"%s"' % BROKEN.task_id.encode() in request.body:
            raise self._error
        return answer


class BreaksWhenThrottled(Unlimited):
    def hold(self, seconds: float = 0.0) -> None:
        raise LookupError(seconds)


def throttled(task: Task) -> Answer:
    return refusal({}, "FlowLimitExceeded") if task == BROKEN else ok({})


async def all_of(api: Api, **settings: Any) -> tuple[dict[Task, Outcome], StopcastError | None]:
    """Return the outcomes of a stream, and what ended it."""
    outcomes: dict[Task, Outcome] = {}
    settings = {"limiter": Unlimited(), "max_at_once": 2, **settings}
    async with virtual_stopper(api, **settings) as stopper:
        try:
            async for outcome in stopper.stop_all(ROWS):
                outcomes[outcome.task] = outcome
        except StopcastError as error:
            return outcomes, error
    return outcomes, None


@pytest.mark.parametrize(
    "error", [ValueError("odd"), TimeoutError(), BaseExceptionGroup("", [asyncio.CancelledError()])]
)
def test_a_row_whose_transport_raises_after_it_was_sent_is_given_up_in_doubt_and_not_sent_again(
    error: BaseException,
) -> None:
    api = BreaksOnce(error)
    outcomes, ended_by = in_virtual_time(lambda: all_of(api))
    assert isinstance(ended_by, BackgroundTaskError)
    assert ended_by.__cause__ is error
    assert len(api.times_of(BROKEN)) == 1
    assert {task for _, task in api.sent} == outcomes.keys()
    assert outcomes[BROKEN].status is Status.GAVE_UP
    assert outcomes[BROKEN].in_doubt
    assert outcomes[BROKEN].seconds == pytest.approx(api.latency_seconds, abs=0.01)


def test_a_row_whose_limiter_raises_over_its_answer_is_given_up() -> None:
    api = Api(throttled)
    outcomes, ended_by = in_virtual_time(lambda: all_of(api, limiter=BreaksWhenThrottled()))
    assert isinstance(ended_by, BackgroundTaskError)
    assert {task for _, task in api.sent} == outcomes.keys()
    assert outcomes[BROKEN].status is Status.GAVE_UP


def test_a_single_task_whose_transport_raises_after_it_was_sent_is_given_up_in_doubt() -> None:
    async def main() -> None:
        async with virtual_stopper(BreaksOnce(ValueError("odd")), limiter=Unlimited()) as stopper:
            outcome = await stopper.stop(BROKEN)
            assert outcome.status is Status.GAVE_UP
            assert outcome.in_doubt
            with pytest.raises(BackgroundTaskError, match="ValueError"):
                await stopper.stop(OTHER)

    in_virtual_time(main)


class ForgetsItsRate(Unlimited):
    """A limiter whose rate raises after it was asked for some times."""

    def __init__(self, times: int) -> None:
        self._left = times

    @property
    def rate(self) -> float:
        self._left -= 1
        if self._left < 0:
            raise LookupError("rate")
        return 2.0


@pytest.mark.parametrize("times", range(1, 8))
def test_a_limiter_whose_rate_raises_ends_the_calls_with_its_error(times: int) -> None:
    api = Api(lambda _: ok({}))
    outcomes, ended_by = in_virtual_time(lambda: all_of(api, limiter=ForgetsItsRate(times), max_at_once=8))
    assert isinstance(ended_by, BackgroundTaskError)
    assert {task for _, task in api.sent} == outcomes.keys()
