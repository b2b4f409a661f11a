"""The jobs that have no call in flight, apart from the order in which they go (see ``test_priorities``)."""

from __future__ import annotations

from typing import Any

from stopcast.engine.backlog import Backlog
from support.virtual import in_virtual_time


class _Origin:
    priority = 0


class _Job:
    """Counts how often it is looked at."""

    def __init__(self) -> None:
        self.looks = 0
        self._origin = _Origin()

    @property
    def origin(self) -> Any:
        self.looks += 1
        return self._origin


def test_withdrawing_each_of_many_origins_looks_only_at_its_own_jobs() -> None:
    async def main() -> None:
        backlog = Backlog(lambda _: None, lambda: None)
        jobs: list[Any] = [_Job() for _ in range(500)]
        for job in jobs:
            backlog.wait(job, 60.0)
        for job in jobs:
            assert backlog.withdraw(job.origin) == [job]
        assert backlog.waiting == 0
        assert max(job.looks for job in jobs) < 10

    in_virtual_time(main)


def test_a_job_that_was_withdrawn_is_not_picked_when_its_time_comes() -> None:
    async def main() -> None:
        backlog = Backlog(lambda _: None, lambda: None)
        withdrawn: Any = _Job()
        due: Any = _Job()
        for job in (withdrawn, due):
            backlog.put_back(job)
        backlog.withdraw(withdrawn.origin)
        assert [backlog.pick(), backlog.pick()] == [due, None]

    in_virtual_time(main)
