"""How the emulator serves: its end, its statistics, and several side by side."""

from __future__ import annotations

import asyncio
import json
import ssl
import time

import aiohttp
import pytest
import trustme

from stopcast.sandbox import Emulator, Faults
from stopcast.tasks.task import Task
from support.signed_client import GONE, TASK, Connect, meet, server_context

QUICKLY = 1.0

pytest_plugins = ["stopcast.sandbox.fixtures"]


async def test_with_latency_the_task_is_stopped_before_the_answer(connect: Connect) -> None:
    async with Emulator(faults=Faults(latency_seconds=0.2, jitter_seconds=0.05)) as emulator:
        began = time.monotonic()
        assert await meet(await connect(emulator, timeout=0.1)) is TimeoutError
        assert emulator.stopped == {TASK}
        assert await meet(await connect(emulator)) == (400, GONE)
        assert time.monotonic() - began >= 0.25


@pytest.mark.parametrize("fault", ["hang", "drip", "huge", None])
@pytest.mark.parametrize("tls", [False, True])
async def test_the_emulator_ends_at_once_whatever_its_calls_wait_for(
    connect: Connect, authority: trustme.CA, fault: str | None, *, tls: bool
) -> None:
    faults = Faults({fault: 1.0} if fault else {}, latency_seconds=0 if fault else 60)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    before = asyncio.all_tasks()
    emulator = Emulator(faults=faults, ssl_context=server_context(authority) if tls else None)
    async with emulator:
        client = await connect(emulator, connector=aiohttp.TCPConnector(ssl=trusting))
        calls = [asyncio.create_task(client.stop(Task("app", "room", str(number)))) for number in range(10)]
        async with asyncio.timeout(2):
            while emulator.calls < 10:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        began = time.monotonic()
    assert time.monotonic() - began < QUICKLY
    met = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(error, aiohttp.ClientError | OSError) for error in met)
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == before


async def test_a_call_that_its_client_cancelled_leaves_no_handler(connect: Connect) -> None:
    async with Emulator(faults=Faults({"hang": 1.0})) as emulator:
        before = len(asyncio.all_tasks())
        assert await meet(await connect(emulator, timeout=0.1)) is TimeoutError
        await asyncio.sleep(0.05)
        assert len(asyncio.all_tasks()) == before


async def test_another_process_can_read_the_statistics_and_the_stopped_tasks(connect: Connect) -> None:
    async with Emulator(faults=Faults({"reset": [TASK]})) as emulator:
        client = await connect(emulator)
        await meet(client)
        await client.stop()
        await client.stop()
        stats, tasks = json.loads(await client.get("/stats")), await client.get("/tasks")
    assert stats.pop("rate") > 0
    assert stats == {
        "calls": 3,
        "stopped": 1,
        "worst_second": 3,
        "throttled": 0,
        "queries": 0,
        "by_code": {"ok": 1, GONE: 1},
        "by_fault": {"reset": 1},
    }
    assert tasks == b'{"AppId":"app","RoomId":"room","TaskId":"task-1"}\n'


async def test_the_fixture_is_an_emulator_that_runs(stopcast_sandbox: Emulator, connect: Connect) -> None:
    stopcast_sandbox.faults = Faults({"throttled": [TASK]})
    client = await connect(stopcast_sandbox)
    assert [(await client.stop()).status for _ in range(2)] == [429, 200]


async def test_two_emulators_run_side_by_side_and_a_port_that_is_taken_is_an_error() -> None:
    async with Emulator() as first, Emulator(host="::1") as second:
        assert first.url != second.url
        assert second.url.startswith("http://[::1]:")
        with pytest.raises(OSError, match="in use"):
            await Emulator(port=int(first.url.rpartition(":")[2])).__aenter__()
