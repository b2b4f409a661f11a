"""Outages, retries and slow answers over minutes of virtual time."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Callable
from email.utils import formatdate

import pytest

from stopcast import Outcome, RetryPolicy, Status, Task, ports
from stopcast.events import ClockCorrected, Event
from stopcast.ports import Gate, Request, TransportError
from stopcast.sandbox.answers import Answer, ok, refusal
from support.processes import tasks
from support.streams import counted, everything
from support.virtual import Api, in_virtual_time, stopped, virtual_stopper

TASK = Task("app", "room", "task")


def failing(seconds: float, how: str) -> Callable[[Task], Answer]:
    def answer(_: Task) -> Answer:
        if asyncio.get_running_loop().time() >= seconds:
            return ok({})
        if how == "refused":
            raise TransportError("refused", unsent=True)
        if how == "reset":
            raise TransportError("reset")
        return refusal({}, how)

    return answer


@pytest.mark.parametrize("how", ["ServiceUnavailable", "InternalError", "reset", "FlowLimitExceeded"])
@pytest.mark.parametrize("count", [200, 3000])
def test_an_outage_of_a_minute_ends_with_every_task_stopped(how: str, count: int) -> None:
    async def main() -> list[Outcome]:
        async with virtual_stopper(api) as stopper:
            return await everything(stopper, tasks(count))

    api = Api(failing(60.0, how))
    assert counted(in_virtual_time(main)) == {Status.STOPPED: count}


def test_refused_connections_for_a_minute_end_with_every_task_stopped() -> None:
    class Refusing(Api):
        async def send(self, request: Request, gate: Gate) -> ports.Answer:
            if asyncio.get_running_loop().time() < 60:
                await asyncio.sleep(0.001)
                raise TransportError("refused", unsent=True)
            return await super().send(request, gate)

    async def main() -> list[Outcome]:
        async with virtual_stopper(api) as stopper:
            return await everything(stopper, tasks(3000))

    api = Refusing(stopped)
    outcomes = in_virtual_time(main)
    assert counted(outcomes) == {Status.STOPPED: 3000}


def test_a_closed_port_is_tried_no_faster_than_the_cap() -> None:
    class Closed(Api):
        async def send(self, request: Request, gate: Gate) -> ports.Answer:  # noqa: ARG002 - the port's signature
            tried.append(asyncio.get_running_loop().time())
            await asyncio.sleep(0.001)
            raise TransportError("refused", unsent=True)

    async def main() -> list[Outcome]:
        async with virtual_stopper(Closed(stopped), retry=RetryPolicy(max_attempts=3)) as stopper:
            return await everything(stopper, tasks(1000))

    tried: list[float] = []
    assert counted(in_virtual_time(main)) == {Status.GAVE_UP: 1000}
    assert len(tried) == 3000
    assert max(bisect_left(tried, moment + 1) - at for at, moment in enumerate(tried)) <= 150


def test_tasks_that_fail_for_ever_do_not_keep_the_others_from_the_full_rate() -> None:
    given = tasks(6000)
    bad = set(given[::20])
    api = Api(lambda task: refusal({}, "InternalError") if task in bad else ok({}))

    async def main() -> list[Outcome]:
        async with virtual_stopper(api) as stopper:
            return await everything(stopper, given)

    outcomes = in_virtual_time(main)
    assert counted(outcomes) == {Status.STOPPED: 5700, Status.GAVE_UP: 300}
    first_calls: dict[Task, float] = {}
    for moment, task in api.sent:
        first_calls.setdefault(task, moment)
    last = max(first_calls.values())
    # Retries take a tenth of the calls at the most while fresh rows are ready.
    assert last <= 6000 / 148 / 0.9 + 1
    assert sum(moment <= last for moment, _ in api.sent) / last >= 148


def test_a_retry_is_not_left_to_the_end() -> None:
    given = tasks(4000)
    early = given[10]
    refused = iter([True])
    api = Api(lambda task: refusal({}, "InternalError") if task == early and next(refused, False) else ok({}))

    async def main() -> list[Outcome]:
        async with virtual_stopper(api) as stopper:
            return await everything(stopper, given)

    assert counted(in_virtual_time(main)) == {Status.STOPPED: 4000}
    first, second = api.times_of(early)
    # Half a second of backoff at most, and its turn: ten calls, and those before the wire.
    assert second - first <= 0.5 + (10 + 64) / 148 + 0.1


def test_answers_that_take_two_seconds_do_not_slow_the_calls() -> None:
    api = Api(stopped, latency_seconds=2.0)

    async def main() -> list[Outcome]:
        async with virtual_stopper(api) as stopper:
            return await everything(stopper, tasks(3000))

    in_virtual_time(main)
    sent = [moment for moment, _ in api.sent]
    assert sent[-1] <= 3000 / 148 + 1
    assert sum(5 <= moment < 15 for moment in sent) >= 1480


def test_a_call_is_bounded_from_its_permit_and_not_before() -> None:
    async def main() -> list[Outcome]:
        async with virtual_stopper(api, max_per_second=1, timeout_seconds=5) as stopper:
            return await everything(stopper, tasks(30))

    api = Api(stopped)
    assert {outcome.attempts for outcome in in_virtual_time(main)} == {1}


def test_a_retry_after_is_honoured_for_all() -> None:
    slow_down = iter([True])

    def answer(_: Task) -> Answer:
        if next(slow_down, False):
            return refusal({}, "FlowLimitExceeded")._replace(headers={"Retry-After": "20"})
        return ok({})

    api = Api(answer)

    async def main() -> list[Outcome]:
        async with virtual_stopper(api) as stopper:
            return await everything(stopper, tasks(300))

    assert counted(in_virtual_time(main)) == {Status.STOPPED: 300}
    gap = max(later - earlier for (earlier, _), (later, _) in zip(api.sent, api.sent[1:], strict=False))
    assert 19.9 <= gap <= 20.2


def test_the_wall_clock_does_not_matter_to_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.time()
    api = Api(lambda _: refusal({}, "ServiceUnavailable")._replace(headers={}))

    async def main() -> tuple[Outcome, float]:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(time, "time", lambda: began + (3600 if int(loop.time()) % 2 else -3600))
        async with virtual_stopper(api, retry=RetryPolicy(max_attempts=5)) as stopper:
            return await stopper.stop(TASK), loop.time()

    outcome, took = in_virtual_time(main)
    assert outcome.status is Status.GAVE_UP
    assert outcome.seconds <= took <= 0.5 + 1 + 2 + 4 + 5 * 0.02 + 1


def test_a_servers_date_far_away_still_leads_to_one_correction() -> None:
    events: list[Event] = []
    refused = iter([True] * 5)

    def answer(_: Task) -> Answer:
        if next(refused, False):
            headers = {"Date": formatdate(time.time() + 1200, usegmt=True)}
            return refusal({}, "InvalidTimestamp")._replace(headers=headers)
        return ok({})

    async def main() -> list[Outcome]:
        async with virtual_stopper(api, observers=[events.append]) as stopper:
            return await everything(stopper, tasks(100))

    # Five calls are in flight when the first refusal comes.
    api = Api(answer, latency_seconds=0.05)
    assert counted(in_virtual_time(main)) == {Status.STOPPED: 100}
    assert sum(isinstance(event, ClockCorrected) for event in events) == 1
