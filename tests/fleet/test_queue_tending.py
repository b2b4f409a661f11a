"""When a worker takes over the tasks of others, on virtual time and without Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from stopcast.fleet.queue.deliveries import WorkerDeliveries
from stopcast.fleet.queue.failures import Availability
from stopcast.fleet.queue.stream import Agreed, Settings
from stopcast.fleet.queue.tending import Tending
from support.virtual import in_virtual_time

_SETTINGS = Settings(60.0, 10)
_AGREED = Agreed(_SETTINGS, 0.0)


class _Member:
    """Redis has all of the worker's entries whenever it is asked."""

    kept = 0

    async def keep(self, ids: Sequence[bytes], _: Settings) -> tuple[Agreed, set[bytes]]:
        self.kept += 1
        return _AGREED, set(ids)


def _tending(availability: Availability, member: Any) -> Tending:
    clock = asyncio.get_running_loop().time
    return Tending(
        member,
        WorkerDeliveries("tasks", clock),
        availability,
        own=_SETTINGS,
        agreed=_AGREED,
        results="",
        clock=clock,
        emit=lambda _: None,
    )


def _claims_after(*, away_seconds: float, there_seconds: float) -> float:
    """Return the seconds until tasks may be taken over, where Redis is away and there by turns."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        availability = Availability("tasks", lambda _: None)
        tending = _tending(availability, _Member())
        running = asyncio.create_task(tending.run())
        began_at = loop.time()
        while not tending.may_claim and loop.time() < began_at + 3600:
            ends_at = loop.time() + away_seconds
            while loop.time() < ends_at:
                await availability.failed("reading", OSError())
            tending.succeeded("reading")
            for _ in range(int(there_seconds)):
                if not tending.may_claim:
                    await asyncio.sleep(1.0)
        tending.close()
        await running
        return loop.time() - began_at

    return in_virtual_time(main)


@pytest.mark.parametrize("there_seconds", [5.0, 30.0, 59.0])
def test_connections_that_are_lost_from_time_to_time_do_not_put_off_a_takeover(there_seconds: float) -> None:
    assert _claims_after(away_seconds=0.1, there_seconds=there_seconds) < 30


def test_after_an_outage_the_others_have_as_long_to_give_a_sign_of_life() -> None:
    assert 85 <= _claims_after(away_seconds=45.0, there_seconds=3600.0) <= 95


def test_after_a_long_outage_no_worker_waits_longer_than_claim_after() -> None:
    assert 600 + 59 <= _claims_after(away_seconds=600.0, there_seconds=3600.0) <= 600 + 65


@pytest.mark.parametrize(("away_seconds", "waits"), [(0.0, 0.0), (0.5, 0.5), (60.0, 2.5)])
def test_after_an_outage_all_workers_give_a_sign_of_life_before_one_reads(away_seconds: float, waits: float) -> None:
    async def main() -> tuple[int, float]:
        loop, member, availability = asyncio.get_running_loop(), _Member(), Availability("tasks", lambda _: None)
        tending = _tending(availability, member)
        began_at = loop.time()
        while loop.time() < began_at + away_seconds:
            await availability.failed("reading", OSError())
        back_at = loop.time()
        await tending.before_reading()
        return member.kept, loop.time() - back_at

    kept, seconds = in_virtual_time(main)
    assert kept == (away_seconds > 0)
    assert waits <= seconds <= waits + 0.3


def test_a_worker_tries_again_soon_where_redis_has_only_lost_writes() -> None:
    async def main() -> float:
        loop, availability = asyncio.get_running_loop(), Availability("tasks", lambda _: None)
        for _ in range(8):
            await availability.failed("writing", OSError())
        began_at = loop.time()
        await availability.failed("writing", OSError("STOPCASTBACK Redis has lost its last writes"))
        return loop.time() - began_at

    assert in_virtual_time(main) < 0.2
