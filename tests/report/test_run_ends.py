from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stopcast.errors import InterruptedRunError
from stopcast.run import Run
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator
from stopcast.stopper import Stopper
from stopcast.tasks.task import Batch, RawRow
from support.processes import read_report, tasks
from support.virtual import in_virtual_time


async def test_a_run_that_is_cancelled_many_times_has_a_line_for_each_outcome_and_leaves_no_task(
    api: Emulator, tmp_path: Path
) -> None:
    released = asyncio.Event()

    async def batches() -> AsyncIterator[Batch]:
        yield Batch("list", [RawRow(*task, line) for line, task in enumerate(tasks(20), start=1)])
        await released.wait()

    path = tmp_path / "report.jsonl"
    async with Stopper(SANDBOX_CREDENTIALS, endpoint=api.url) as stopper:
        run = Run(stopper, path)
        running = asyncio.ensure_future(run.stop_lists(batches()))
        async with asyncio.timeout(20):
            while run.finished < 20:
                await asyncio.sleep(0.01)
        while not running.done():
            running.cancel()
            await asyncio.sleep(0)
    assert running.cancelled()
    assert len(read_report(path)) == 20
    assert list(tmp_path.iterdir()) == [path]
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("begins", [False, True])
def test_the_end_of_a_run_that_does_not_run_sets_no_timer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, begins: bool
) -> None:
    cut_off: list[str] = []

    async def no_rows() -> AsyncIterator[Batch]:
        return
        yield

    async def main() -> None:
        stopper = Stopper(SANDBOX_CREDENTIALS, endpoint="http://127.0.0.1:1")
        async with stopper:
            monkeypatch.setattr(stopper.dispatcher, "cancel", lambda: cut_off.append("cut off"))
            run = Run(stopper, tmp_path / "report.jsonl", grace_seconds=5.0)
            if begins:
                await run.stop_lists(no_rows())
            run.end(InterruptedRunError(2))
            await asyncio.sleep(10)
            assert not cut_off

    in_virtual_time(main)
