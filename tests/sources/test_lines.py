"""Lines of lists: their numbers, their length, and the batches that they make."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import aclosing
from pathlib import Path

import pytest

from stopcast.sources.lines import Lines, LineSplitter
from stopcast.tasks.task import BrokenRow, RawRow
from support.lists import open_list
from support.memory import peak_memory
from support.reading import HEADER, MOST_BYTES, Read, Written, read


async def test_rows_carry_the_line_they_began_on(written: Written) -> None:
    found = await read(written("\n" + HEADER + "\n\na,r,t\n\nb,r,t"))
    assert found.rows == [RawRow("a", "r", "t", 5), RawRow("b", "r", "t", 7)]


async def test_carriage_returns_a_byte_order_mark_and_blank_lines_are_fine(written: Written) -> None:
    found = await read(written("\ufeffAppId,RoomId,TaskId\r\n\r\n  \r\na,r,t\r\nb,r,t\r"))
    assert found == Read([RawRow("a", "r", "t", 4), RawRow("b", "r", "t", 5)])


async def test_nothing_but_a_line_feed_ends_a_line(written: Written) -> None:
    found = await read(written(HEADER + "a,r\u2028\x0b\x1c\x85,t\nb,r,t\n"))
    assert found.ids == [("a", "r\u2028\x0b\x1c\x85", "t"), ("b", "r", "t")]


@pytest.mark.parametrize("content", ["", "\n \n\t\n", "\ufeff", HEADER, HEADER.strip()])
async def test_a_list_without_rows_is_empty(written: Written, content: str) -> None:
    assert await read(written(content)) == Read()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r", "\r\r\n"])
async def test_utf_16_and_32_are_plain_from_their_bytes(
    written: Written, encoding: str, mark: str, ending: str
) -> None:
    text = f"{mark}AppId,RoomId,TaskId,备注\na,r,t,中文\n".replace("\n", ending)
    assert await read(written(text.encode(encoding))) == Read([RawRow("a", "r", "t", 2)])


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("further", ["", "b,r,t"])
async def test_a_line_may_be_64_kib_long_and_no_longer(written: Written, ending: str, further: str) -> None:
    rest = further and ending + further + ending
    fits = "a,r,".ljust(65536, "t")
    found = await read(written(HEADER + fits + rest))
    assert [len(row.task_id) for row in found.rows] == [65532] + [1] * bool(further)  # type: ignore[arg-type]
    found = await read(written(HEADER + fits + "t" + rest))
    assert found.broken == [BrokenRow("longer than 65536 bytes", 2)]
    assert found.ids == [("b", "r", "t")] * bool(further)


def test_a_line_of_64_kib_may_have_its_end_in_the_next_chunk() -> None:
    splitter = LineSplitter()
    parts = [*splitter.split(b"x" * 65536), *splitter.split(b"\nab")]
    assert parts == [Lines(range(1, 2), [b"x" * 65536])]
    assert list(splitter.finish()) == [Lines(range(2, 3), [b"ab"])]


async def test_lines_of_any_length_cross_the_chunks_unharmed(written: Written) -> None:
    lengths = [1, 70_000, 3, 65_000, 65_000, 200_000, 1, 1_200_000, 2]
    found = await read(written(HEADER + "".join("a,r,".ljust(length + 4, "t") + "\n" for length in lengths)))
    assert [len(str(row.task_id)) for row in found.rows] == [length for length in lengths if length < 65_532]
    assert [row.line for row in found.broken] == [
        line for line, length in enumerate(lengths, start=2) if length > 65_532
    ]


async def test_a_line_without_end_is_never_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "tasks.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(HEADER.encode())
        for _ in range(30):
            file.write(b"x" * 1_000_000)
        file.write(b"\na,r,t\n")
    with peak_memory() as peak:
        found = await read(path)
    assert found.broken == [BrokenRow("longer than 65536 bytes", 2)]
    assert found.rows == [RawRow("a", "r", "t", 3)]
    assert peak.bytes < MOST_BYTES


async def test_batches_are_small_and_keep_the_lists_order(written: Written) -> None:
    path = written(HEADER + "".join(f"a,r,t{number}\n" for number in range(5000)))
    async with aclosing(open_list(path)) as batches:
        sizes = [[len(batch.rows), batch.rows[0].line] async for batch in batches]
    assert max(size for size, _ in sizes) <= 256
    assert sum(size for size, _ in sizes) == 5000
    assert [first for _, first in sizes] == sorted(first for _, first in sizes)


async def test_the_event_loop_has_its_turn_between_batches(written: Written) -> None:
    path = written(HEADER + "".join(f"a,r,t{number}\n" for number in range(5000)))
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    batches = [batch async for batch in open_list(path)]
    turning.cancel()
    assert turns >= len(batches)
