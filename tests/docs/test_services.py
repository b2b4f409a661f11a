"""The services among the examples: a real server in another process, under load, until its shutdown."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from stopcast import Credentials, RedisConsumer, Stopper, Unlimited
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator, Faults
from support.processes import KEYS

EXAMPLES = Path(__file__).parents[2] / "examples"
#: What Python 3.13 and later print for a connection that asyncio accepts in the turn in which a server closes, whatever
#: the server does (github.com/python/cpython/issues/109564). It is no failure of the service.
ASYNCIO_S_OWN = re.compile(
    r"Exception ignored .*<function _SelectorTransport\.__del__ .*\n"
    r"Traceback .*\n"
    r"(?: .*\n)+"
    r"TypeError: 'NoneType' object is not iterable\n"
)


class Service:
    """A service in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url

    async def end(self) -> str:
        """Ask the service to end, and return what it printed, without what only asyncio is to blame for."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = await self.process.communicate()
        return ASYNCIO_S_OWN.sub("", out.decode())


@asynccontextmanager
async def service(*arguments: str, endpoint: str) -> AsyncIterator[Service]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=EXAMPLES,
        env={**os.environ, **KEYS, "STOPCAST_ENDPOINT": endpoint, "PORT": "0", "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        assert process.stdout is not None
        async for line in process.stdout:
            if (found := re.search(rb"(?i)running on (http://[0-9.]+:[0-9]+)", line)) is not None:
                break
        else:
            raise AssertionError("the service did not start")
        yield Service(process, found[1].decode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


FASTAPI = ("-m", "uvicorn", "--port", "0", "fastapi_service:app")


def items(count: int, room_id: str) -> list[dict[str, str]]:
    return [{"app_id": "app", "room_id": room_id, "task_id": f"task-{number}"} for number in range(count)]


async def stopped_by(session: aiohttp.ClientSession, url: str, given: list[dict[str, str]]) -> list[dict[str, Any]]:
    async with session.post(f"{url}/stop", json=given) as response:
        return [orjson.loads(line) async for line in response.content]


async def test_a_fastapi_service_streams_each_requests_outcomes_and_is_scraped() -> None:
    async with (
        Emulator() as emulator,
        service(*FASTAPI, endpoint=emulator.url) as fastapi,
        aiohttp.ClientSession() as session,
    ):
        streams = await asyncio.gather(*(stopped_by(session, fastapi.url, items(40, f"room-{n}")) for n in range(6)))
        async with session.get(f"{fastapi.url}/metrics/") as response:
            metrics = await response.text()
        assert "Traceback" not in await fastapi.end()
    for number, outcomes in enumerate(streams):
        assert Counter(outcome["status"] for outcome in outcomes) == {"stopped": 40}
        assert {(outcome["RoomId"], outcome["TaskId"]) for outcome in outcomes} == {
            (f"room-{number}", f"task-{n}") for n in range(40)
        }
    assert 'stopcast_attempts_total{verdict="ok"' in metrics.replace('action="StopWebcast",', "")
    assert len(emulator.stopped) == 240


async def test_tasks_of_a_client_that_disconnected_are_not_sent_any_more() -> None:
    async with (
        Emulator() as emulator,
        service(*FASTAPI, endpoint=emulator.url) as fastapi,
        aiohttp.ClientSession() as session,
    ):
        async with session.post(f"{fastapi.url}/stop", json=items(2000, "left")) as response:
            await response.content.readline()
            response.close()
        (outcome,) = await stopped_by(session, fastapi.url, items(1, "stayed"))
        assert outcome["status"] == "stopped"
        assert "Traceback" not in await fastapi.end()
    assert len(emulator.stopped) < 2000


async def test_a_fastapi_service_that_is_asked_to_end_finishes_what_it_sent_and_says_how_much_it_did_not_send() -> None:
    async with (
        Emulator(faults=Faults(latency_seconds=0.2)) as emulator,
        service(*FASTAPI, endpoint=emulator.url) as fastapi,
        aiohttp.ClientSession() as session,
    ):
        async with session.post(f"{fastapi.url}/stop", json=items(5000, "room")) as response:
            lines = [await response.content.readline()]
            ending = asyncio.create_task(fastapi.end())
            lines += [line async for line in response.content]
        assert "Traceback" not in await ending
    *outcomes, last = map(orjson.loads, lines)
    assert Counter(outcome["status"] for outcome in outcomes) == {"stopped": len(emulator.stopped)}
    assert last["not_sent"] == 5000 - len(outcomes) > 0


async def test_a_fastapi_service_that_is_asked_to_end_under_load_answers_every_request_that_it_accepted() -> None:
    answered: Counter[int] = Counter()
    asked = 0

    async def ask(session: aiohttp.ClientSession) -> None:
        nonlocal asked
        with suppress(aiohttp.ClientConnectionError):  # it listens no longer, and never read this request
            while True:
                asked += 1
                async with session.delete(f"/tasks/app/room/task-{asked}") as response:
                    answered[response.status] += 1
                    good = (await response.json()).get("good")
                    assert good is (True if response.status == 200 else None)

    async with (
        Emulator(faults=Faults(latency_seconds=0.05)) as emulator,
        service(*FASTAPI, endpoint=emulator.url) as fastapi,
        # Each request has a connection of its own: one that is kept may be closed at the moment of the next request.
        aiohttp.ClientSession(fastapi.url, headers={"Connection": "close"}) as session,
    ):
        clients = [asyncio.create_task(ask(session)) for _ in range(20)]
        while answered[200] < 100:
            await asyncio.sleep(0.01)
        assert "Traceback" not in await fastapi.end()
        await asyncio.gather(*clients)
    assert answered.keys() <= {200, 503}
    assert len(emulator.stopped) == answered[200]


async def test_the_health_of_a_fastapi_service_is_that_of_its_key() -> None:
    async with (
        Emulator(credentials=Credentials("another", "key")) as emulator,
        service(*FASTAPI, endpoint=emulator.url) as fastapi,
        aiohttp.ClientSession(fastapi.url) as session,
    ):
        statuses = []
        stop = ("DELETE", "/tasks/app/room/task")
        for method, path in (("GET", "/health"), stop, stop, ("GET", "/health")):
            async with session.request(method, path) as response:
                statuses.append(response.status)
        assert "Traceback" not in await fastapi.end()
    # The task that met the refusal has an outcome, which is not good. All others have none.
    assert statuses == [200, 200, 503, 503]


async def test_an_aiohttp_service_that_is_asked_to_end_under_load_first_stops_all_that_it_accepted() -> None:
    asked = 0
    answered: Counter[int] = Counter()

    async def ask(session: aiohttp.ClientSession) -> None:
        nonlocal asked
        with suppress(aiohttp.ClientConnectionError):  # it listens no longer, and never read this request
            while True:
                asked += 1
                async with session.post("/tasks", json=["app", "room", f"task-{asked}"]) as response:
                    answered[response.status] += 1

    async with (
        Emulator() as emulator,
        service("aiohttp_service.py", endpoint=emulator.url) as background,
        aiohttp.ClientSession(background.url, headers={"Connection": "close"}) as session,
    ):
        clients = [asyncio.create_task(ask(session)) for _ in range(8)]
        while answered[202] < 150:
            await asyncio.sleep(0.01)
        printed = await background.end()
        await asyncio.gather(*clients)
    # 503: its queue is full.
    assert answered.keys() <= {202, 503}
    assert f"{{'stopped': {answered[202]}}}" in printed
    assert "Traceback" not in printed
    assert len(emulator.stopped) == answered[202]


async def test_a_service_puts_tasks_into_a_queue_once_and_workers_stop_them(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = f"{redis_url}/tasks"
    monkeypatch.setenv("STOPCAST_QUEUE", queue)
    enqueuing = ("-m", "uvicorn", "--port", "0", "fastapi_enqueues:app")
    async with (
        Emulator(quota_per_second=None) as api,
        service(*enqueuing, endpoint=api.url) as running,
        aiohttp.ClientSession(running.url) as session,
    ):
        answers = []
        for given in (items(30, "r"), items(30, "r"), [{"app_id": "a", "room_id": "", "task_id": "t"}]):
            async with session.post("/stop", json=given) as answer:
                answers.append((answer.status, await answer.json()))
        assert answers[:2] == [(202, {"queued": 30, "known": 0}), (202, {"queued": 0, "known": 30})]
        assert answers[2][0] == 422
        async with (
            Stopper(SANDBOX_CREDENTIALS, endpoint=api.url, limiter=Unlimited()) as stopper,
            RedisConsumer(queue, until_empty=True) as consumer,
        ):
            async for outcome in stopper.stop_all(consumer):
                consumer.ack([outcome])
        async with session.get("/queue") as answer:
            assert (await answer.json())["length"] == 0
        assert len(api.stopped) == 30
        await running.end()
