"""Observers that end, reopen or pause the calls from within an event: every row that was sent has its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from stopcast import ClosedError, CredentialsRefusedError, Outcome, RetryPolicy, Status, Stopper, Task, Unlimited
from stopcast.events import AttemptFinished, CallsEnded, Event, RateChanged, RetryPlanned, TaskFinished, Throttled
from stopcast.sandbox.answers import Answer, ok, refusal
from support.processes import tasks
from support.streams import consume, counted, everything
from support.virtual import Api, in_virtual_time, virtual_stopper

PATIENT = RetryPolicy(first_wait_seconds=100.0, longest_wait_seconds=100.0)


class Acts:
    """An observer that acts once: on the event of a kind that has this number."""

    def __init__(self, kind: type[Event], number: int, act: Callable[[Stopper], object]) -> None:
        self._kind = kind
        self._left = number
        self._act = act
        self.stopper: Stopper

    def __call__(self, event: Event) -> None:
        if isinstance(event, self._kind):
            self._left -= 1
            if not self._left:
                self._act(self.stopper)


def half_throttled(task: Task) -> Answer:
    return refusal({}, "FlowLimitExceeded") if int(task.task_id[-1]) % 2 else ok({})


@pytest.mark.parametrize("kind", [AttemptFinished, RetryPlanned, TaskFinished, Throttled, RateChanged])
def test_an_observer_that_drains_loses_no_outcome_of_what_was_sent(kind: type[Event]) -> None:
    api = Api(half_throttled)

    async def main() -> None:
        outcomes: list[Outcome] = []
        observer = Acts(kind, 10, Stopper.drain)
        async with virtual_stopper(api, observers=[observer], retry=PATIENT, drain_seconds=3) as stopper:
            observer.stopper = stopper
            async with asyncio.timeout(20):
                assert isinstance(await consume(stopper.stop_all(tasks(400)), outcomes), ClosedError)
        assert {outcome.task for outcome in outcomes} == {task for _, task in api.sent}
        assert len(outcomes) == len(set(outcomes)) < 400

    in_virtual_time(main)


def test_an_observer_of_the_end_of_calls_may_try_the_key_again_at_once() -> None:
    refusals = iter(range(3))
    api = Api(lambda _: ok({}) if next(refusals, None) is None else refusal({}, "SignatureDoesNotMatch"))

    async def main() -> None:
        observer = Acts(CallsEnded, 1, Stopper.retry_key)
        async with virtual_stopper(api, observers=[observer], limiter=Unlimited(), max_at_once=1) as stopper:
            observer.stopper = stopper
            async with asyncio.timeout(20):
                with pytest.raises(CredentialsRefusedError):
                    await asyncio.gather(everything(stopper, tasks(20)), stopper.stop(Task("a", "r", "single")))
                assert counted(await everything(stopper, tasks(20))) == {Status.STOPPED: 20}

    in_virtual_time(main)
