"""A permit that has become old by the time of its call: the note of the call stood still on a busy disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from stopcast import Stopper, Task
from stopcast.fleet.quota.shared_quota import SharedQuota
from stopcast.ports import Limiter
from stopcast.virtual_clock import VirtualClock
from support.simulated_redis import SimulatedLedger, SimulatedRedis
from support.virtual import Api, on_virtual_clock, stopped, virtual_stopper

TASK = Task("app", "room", "task")


class Noted:
    """A source of one task, whose notes block the loop for as long as ``seconds`` has it, one after the other."""

    def __init__(self, clock: VirtualClock, *seconds: float) -> None:
        self._clock = clock
        self._seconds = list(seconds)
        self.notes: set[Task] = set()
        self.written = 0

    async def __aiter__(self) -> AsyncIterator[Task]:
        yield TASK

    def begin(self, task: Task, _identity: bytes) -> None:
        if task not in self.notes:
            self._clock.advance(self._seconds.pop(0))
            self.notes.add(task)
            self.written += 1

    def end(self, tasks: Iterable[Task]) -> None:
        self.notes.difference_update(tasks)


class Brief(Limiter):
    """Gives a permit for a hundredth of a second, every second."""

    def __init__(self) -> None:
        self.permits: list[float] = []

    @property
    def permit_seconds(self) -> float:
        return 0.01

    async def acquire(self) -> None:
        await asyncio.sleep(1.0)
        self.permits.append(asyncio.get_running_loop().time())

    def hold(self, seconds: float = 0.0) -> None:
        raise AssertionError(seconds)


def test_a_call_whose_note_took_longer_than_its_permit_lasts_asks_for_another_and_keeps_its_note() -> None:
    async def main(clock: VirtualClock) -> None:
        api, limiter, source = Api(stopped), Brief(), Noted(clock, 3.0)
        async with virtual_stopper(api, limiter=limiter) as stopper:
            outcomes = [outcome async for outcome in stopper.stop_all(source)]
        assert [outcome.attempts for outcome in outcomes] == [1]
        ((sent_at, _),) = api.sent
        assert len(limiter.permits) == 2
        assert sent_at - limiter.permits[1] < 0.001
        assert source.written == 1

    on_virtual_clock(main)


def test_a_call_that_is_taken_back_while_it_asks_for_another_permit_leaves_no_note() -> None:
    async def main(clock: VirtualClock) -> None:
        api, limiter, source = Api(stopped), Brief(), Noted(clock, 3.0)

        async def stop(stopper: Stopper) -> None:
            async for _ in stopper.stop_all(source):
                pass

        async with virtual_stopper(api, limiter=limiter) as stopper:
            stopping = asyncio.create_task(stop(stopper))
            while not source.notes:
                await asyncio.sleep(0.1)
            stopping.cancel()
            await asyncio.wait([stopping])
        assert (api.sent, source.notes) == ([], set())

    on_virtual_clock(main)


def test_a_permit_of_a_shared_quota_lasts_until_its_slot_is_over() -> None:
    async def main(clock: VirtualClock) -> None:
        ledger = SimulatedLedger(SimulatedRedis(), "account", lambda: 0.0005)
        async with SharedQuota(ledger, account="account") as quota:
            await quota.acquire()
            assert 0.006 < quota.permit_seconds <= 0.0066
            clock.advance(0.01)
            assert quota.permit_seconds < 0

    on_virtual_clock(main)
