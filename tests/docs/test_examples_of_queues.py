"""The examples for other queues than stopcast's own: workers in processes of their own on a real Redis, and Kafka."""

from __future__ import annotations

import asyncio
import inspect
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest

from stopcast import Stopper, Unlimited
from stopcast.fleet.quota.quota_status import quota_status
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator
from stopcast.sandbox.thread import serving
from support.kafka import Message, Partition, StandInConsumer
from support.processes import HANGS_AFTER_SECONDS, KEYS, until

EXAMPLES = Path(__file__).parents[2] / "examples"
TASKS = 450
NEEDS = "is not tested here: install the extra"

ENQUEUE_FOR_CELERY = f"""
from collections import Counter
from celery import group
from celery_worker import stop
jobs = group(stop.s("app", "room", f"task-{{number}}") for number in range({TASKS}))
print(dict(Counter(jobs().get(timeout=30))))
"""
ENQUEUE_FOR_ARQ = f"""
import asyncio
from collections import Counter
from arq import create_pool
from arq_worker import WorkerSettings
async def main():
    pool = await create_pool(WorkerSettings.redis_settings)
    jobs = [await pool.enqueue_job("stop", "app", "room", f"task-{{number}}") for number in range({TASKS})]
    print(dict(Counter([await job.result(timeout=30) for job in jobs])))
    await pool.aclose()
asyncio.run(main())
"""
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with serving(Emulator(quota_per_second=None)) as emulator:
        yield emulator


@pytest.fixture
def start(redis_url: str, emulator: Emulator, tmp_path: Path) -> Iterator[Start]:
    """Starts Python beside the examples, with what it prints in a file of the test's."""
    variables = {**os.environ, **KEYS, "STOPCAST_QUOTA": redis_url, "STOPCAST_ENDPOINT": emulator.url}

    with ExitStack() as stack:

        def started(*arguments: str, log: str) -> subprocess.Popen[str]:
            printed = stack.enter_context((tmp_path / log).open("w"))
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=EXAMPLES,
                env={**variables, "PYTHONUNBUFFERED": "1"},
                stdout=printed,
                stderr=subprocess.STDOUT,
                text=True,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        yield started


@pytest.fixture
def share_the_cap(start: Start, emulator: Emulator, redis_url: str, tmp_path: Path) -> Callable[..., None]:
    """Runs two workers and a client that enqueues, ends one worker in the middle, and looks at what became of it."""

    def share(*worker: str, client: str, prints: str) -> None:
        workers = [start(*worker, log=f"worker-{number}") for number in range(2)]
        enqueuing = start("-c", client, log="client")
        # What the first worker took and did not finish, the second one does.
        until(lambda: emulator.calls > TASKS // 3)
        workers[0].send_signal(signal.SIGTERM)
        enqueuing.wait(HANGS_AFTER_SECONDS)
        workers[1].send_signal(signal.SIGTERM)
        ended = [process.wait(HANGS_AFTER_SECONDS) for process in (enqueuing, *workers)]
        printed = [(tmp_path / f"worker-{number}").read_text() for number in range(2)]
        assert (tmp_path / "client").read_text() == f"{{'stopped': {TASKS}}}\n", printed
        assert ended == [0, 0, 0], printed
        assert len(emulator.stopped) == TASKS
        assert all(prints in text and "Traceback" not in text for text in printed)
        # All calls had their permits from the one quota, whose clock is that of Redis.
        status = asyncio.run(quota_status(redis_url, "main"))
        assert status.permits >= emulator.calls
        assert status.worst_second <= 150

    return share


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_celery_s_workers_share_the_cap_and_lose_no_task_when_one_ends(
    pool: str, share_the_cap: Callable[..., None]
) -> None:
    pytest.importorskip("celery", reason=f"Celery's worker {NEEDS} examples")
    options = ("--pool", pool, "--concurrency", "8", "--loglevel", "info", "--without-gossip", "--without-mingle")
    worker = ("-m", "celery", "--app", "celery_worker", "worker", "--hostname", f"{os.getpid()}-%i@%h", *options)
    share_the_cap(*worker, client=ENQUEUE_FOR_CELERY, prints="succeeded in")


def test_arq_s_workers_share_the_cap_and_lose_no_task_when_one_ends(share_the_cap: Callable[..., None]) -> None:
    pytest.importorskip("arq", reason=f"arq's worker {NEEDS} arq")
    share_the_cap("-m", "arq", "arq_worker.WorkerSettings", client=ENQUEUE_FOR_ARQ, prints="stop ●")


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("aiokafka", reason=f"the consumer of Kafka {NEEDS} examples")
    monkeypatch.syspath_prepend(EXAMPLES)
    import from_kafka

    return from_kafka


PARTITIONS = [Partition("recordings", number) for number in range(2)]
#: Every third offset is missing, as after a compaction; one message names no task, and one has no value.
LOG = {
    partition: [
        Message(offset, f"app,room-{partition.partition},task-{offset}".encode()) for offset in range(300) if offset % 3
    ]
    for partition in PARTITIONS
}
LOG[PARTITIONS[0]][5] = Message(LOG[PARTITIONS[0]][5].offset, b"\xff{}")
LOG[PARTITIONS[1]][7] = Message(LOG[PARTITIONS[1]][7].offset, None)


def tasks_of(messages: Iterable[Message]) -> set[tuple[str, ...]]:
    rows = (tuple((message.value or b"").decode(errors="replace").split(",")) for message in messages)
    return {row for row in rows if len(row) == 3}


NAMED = tasks_of(message for messages in LOG.values() for message in messages)


@pytest.mark.parametrize("cut_after", [1, 130, 380])
async def test_an_offset_is_committed_only_when_every_task_before_it_has_a_durable_outcome(
    cut_after: int, example: Any, tmp_path: Path
) -> None:
    committed: dict[Partition, int] = {}
    all_committed = dict.fromkeys(PARTITIONS, 300)
    with (tmp_path / "results").open("w+b", buffering=io.DEFAULT_BUFFER_SIZE) as results:
        async with Emulator(quota_per_second=None) as emulator:
            for last in (False, True):
                ending = asyncio.Event()
                messages = example.Messages(StandInConsumer(LOG, committed), results, ending)
                async with Stopper(SANDBOX_CREDENTIALS, endpoint=emulator.url, limiter=Unlimited()) as stopper:
                    consuming = asyncio.create_task(example.consume(messages, stopper))
                    while committed != all_committed if last else emulator.calls < cut_after:
                        await asyncio.sleep(0)
                    if last:
                        ending.set()
                    else:
                        consuming.cancel()
                    await asyncio.wait([consuming])
                lines = map(orjson.loads, Path(results.name).read_bytes().splitlines())
                durable = {(line["AppId"], line["RoomId"], line["TaskId"]) for line in lines}
                for partition, offset in committed.items():
                    assert tasks_of(message for message in LOG[partition] if message.offset < offset) <= durable
    assert durable >= NAMED


async def test_a_partition_that_was_given_to_another_consumer_is_not_committed(example: Any, tmp_path: Path) -> None:
    committed: dict[Partition, int] = {}
    ending = asyncio.Event()
    consumer = StandInConsumer(LOG, committed)
    with (tmp_path / "results").open("wb") as results:
        async with (
            Emulator(quota_per_second=None) as emulator,
            Stopper(SANDBOX_CREDENTIALS, endpoint=emulator.url, limiter=Unlimited()) as stopper,
        ):
            consuming = asyncio.create_task(example.consume(example.Messages(consumer, results, ending), stopper))
            while emulator.calls < 250:
                await asyncio.sleep(0)
            consumer.revoke(PARTITIONS[1:])
            already = committed.get(PARTITIONS[1], 0)
            while committed.get(PARTITIONS[0]) != 300:
                await asyncio.sleep(0)
            ending.set()
            await consuming
    assert committed.get(PARTITIONS[1], 0) == already < 300


def test_the_stand_in_has_the_methods_of_aiokafka_s_consumer() -> None:
    aiokafka = pytest.importorskip("aiokafka", reason=f"the consumer of Kafka {NEEDS} examples")
    for name in ("getmany", "commit", "assignment"):
        theirs, ours = (
            [(it.name, it.kind, it.default) for it in inspect.signature(getattr(kind, name)).parameters.values()]
            for kind in (aiokafka.AIOKafkaConsumer, StandInConsumer)
        )
        assert ours == theirs
    assert aiokafka.TopicPartition._fields == Partition._fields
