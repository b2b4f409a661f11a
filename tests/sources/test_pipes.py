"""Lists that come by a pipe or standard input."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import subprocess
import sys
import threading
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from stopcast.tasks.task import RawRow
from support.lists import open_list
from support.processes import HANGS_AFTER_SECONDS
from support.reading import HEADER, Read, Written, read
from support.streams import eventually


@contextmanager
def standard_input(monkeypatch: pytest.MonkeyPatch) -> Any:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as raw:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw))
        yield writing


async def test_what_a_slow_pipe_has_brought_is_delivered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with standard_input(monkeypatch) as writing:
        batches = open_list("-")
        for number, text in enumerate(["AppId,RoomId,TaskId\na,r,t0\n", "a,r,t1\na,r", ",t2\n"]):
            os.write(writing, text.encode())
            batch = await asyncio.wait_for(anext(batches), 5)
            assert [row.task_id for row in batch.rows] == [f"t{number}"]
        os.write(writing, b"a,r,t3")
        os.close(writing)
        assert [row.task_id for batch in [batch async for batch in batches] for row in batch.rows] == ["t3"]


async def test_a_pipe_that_brings_single_bytes_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    text = gzip.compress("\ufeffTaskId\tAppId\tRoomId\nt\ta\tr\n".encode())

    def write() -> None:
        for byte in text:
            os.write(writing, bytes([byte]))
        os.close(writing)

    with standard_input(monkeypatch) as writing:
        thread = threading.Thread(target=write)
        thread.start()
        assert await read("-") == Read([RawRow("a", "r", "t", 2)])
        thread.join()


async def test_standard_input_that_is_closed_is_a_list_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert await read("-") == Read(error="standard input: it is closed")


async def test_a_fifo_is_read_like_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tasks"
    os.mkfifo(path)
    thread = threading.Thread(target=path.write_text, args=['{"AppId":"a","RoomId":"r","TaskId":"t"}\n'])
    thread.start()
    assert await read(path) == Read([RawRow("a", "r", "t", 1)])
    thread.join()


async def test_waiting_for_a_pipe_leaves_the_event_loop_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with standard_input(monkeypatch) as writing:
        # An event loop that were blocked would go on when this ends the list, and see that it was read.
        unblock = threading.Timer(HANGS_AFTER_SECONDS, os.close, [writing])
        unblock.start()
        reading = asyncio.create_task(read("-"))
        for _ in range(10):
            await asyncio.sleep(0.001)
        assert not reading.done()
        unblock.cancel()
        os.close(writing)
        assert await reading == Read()


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("reads ")]


def descriptors() -> set[str]:
    return {path.name for path in Path("/dev/fd").iterdir()}


async def test_closing_a_list_that_waits_for_input_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    with standard_input(monkeypatch) as writing:
        os.write(writing, b"AppId,RoomId,TaskId\na,r,t\n")
        batches = open_list("-")
        await anext(batches)
        assert readers()
        await batches.aclose()
        await eventually(lambda: not readers())
        # What comes later is for others to read.
        os.write(writing, b"later")
        assert os.read(sys.stdin.fileno(), 10) == b"later"
        os.close(writing)


async def test_cancelling_a_read_that_waits_leaves_no_thread_and_no_descriptor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with standard_input(monkeypatch) as writing:
        before = descriptors()
        reading = asyncio.create_task(read("-"))
        await eventually(lambda: bool(readers()))
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await eventually(lambda: not readers())
        assert descriptors() == before
        os.close(writing)


async def test_a_list_that_is_left_early_leaves_no_thread_and_no_descriptor(written: Written) -> None:
    path = written(HEADER + "a,r,t\n" * 1_000_000)
    before = descriptors()
    async with aclosing(open_list(path)) as batches:
        async for _ in batches:
            break
    await eventually(lambda: not readers())
    assert descriptors() == before


WAITING = """
import asyncio, sys
from stopcast.sources import ListReader, ReadOptions

async def read():
    async with ListReader(sys.argv[1], ReadOptions()) as reader:
        async for batch in reader.batches():
            pass

async def main():
    async with asyncio.timeout(0.05):
        await read()

asyncio.run(main())
"""


@pytest.mark.parametrize("source", ["-", "fifo"])
def test_a_program_may_end_while_a_list_still_waits(tmp_path: Path, source: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    with subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-c", WAITING, source],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as process:
        assert process.stderr is not None
        words = process.stderr.read()
        process.wait(timeout=HANGS_AFTER_SECONDS)
    assert words.splitlines()[-1] == "TimeoutError"
    assert "Warning" not in words


async def test_no_more_than_a_few_chunks_are_read_ahead(tmp_path: Path) -> None:
    path = tmp_path / "tasks"
    os.mkfifo(path)
    written = 0

    def write() -> None:
        nonlocal written
        with path.open("wb", buffering=0) as pipe:
            try:
                for _ in range(400):
                    written += pipe.write(b"a,r,t\n" * 10_000)
            except BrokenPipeError:
                return

    thread = threading.Thread(target=write)
    thread.start()
    batches = open_list(path)
    await anext(batches)
    await asyncio.sleep(0.2)
    assert written < 8_000_000
    await batches.aclose()
    await eventually(lambda: not thread.is_alive())
