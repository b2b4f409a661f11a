"""Rows that belong to another process by the time of their call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from stopcast import Task
from stopcast.ports import Limiter
from stopcast.virtual_clock import VirtualClock
from support.processes import tasks
from support.virtual import Api, on_virtual_clock, stopped, virtual_stopper


class Lost:
    """A source of tasks, of which only the last one stays its own."""

    def __init__(self, *tasks: Task) -> None:
        self._tasks = tasks
        self.returned: list[Task] = []

    async def __aiter__(self) -> AsyncIterator[Task]:
        for task in self._tasks:
            yield task

    def still_ours(self, task: Task) -> bool:
        return task == self._tasks[-1]

    def in_doubt(self, _: Task) -> bool:
        return False

    def give_back(self, tasks: Iterable[Task]) -> None:
        self.returned += tasks


class Counted(Limiter):
    """Counts the permits."""

    permits = 0

    async def acquire(self) -> None:
        self.permits += 1

    def hold(self, seconds: float = 0.0) -> None:
        raise AssertionError(seconds)


def test_a_row_that_was_lost_before_its_call_waits_for_a_permit_takes_none() -> None:
    async def main(_: VirtualClock) -> None:
        api, limiter, source = Api(stopped), Counted(), Lost(*tasks(20))
        async with virtual_stopper(api, limiter=limiter) as stopper:
            outcomes = [outcome async for outcome in stopper.stop_all(source)]
        assert [outcome.task for outcome in outcomes] == tasks(20)[19:]
        assert sorted(source.returned) == sorted(tasks(20)[:19])
        assert limiter.permits == len(api.sent) == 1

    on_virtual_clock(main)
