from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from stopcast.errors import ConfigurationError, ListError
from stopcast.sources import Columns, Form
from stopcast.sources.csv_rows import AMBIGUOUS
from stopcast.sources.lines import Lines, LineSplitter
from stopcast.tasks.outcome import Status
from stopcast.tasks.task import BrokenRow, RawRow
from support.lists import only, open_list
from support.memory import peak_memory
from support.processes import HANGS_AFTER_SECONDS
from support.streams import eventually

HEADER = "AppId,RoomId,TaskId\n"
#: What reading a list may take, however long its lines and values are: each of these lists holds 20 MB or more.
MOST_BYTES = 6_000_000
NO_HEADER = "the first row is not a header with AppId, RoomId, TaskId, and a list without a header must have 3 columns"


@dataclass
class Read:
    rows: list[RawRow] = field(default_factory=list)
    broken: list[BrokenRow] = field(default_factory=list)
    left_out: int = 0
    error: str | None = None

    @property
    def ids(self) -> list[tuple[object, object, object]]:
        return [(row.app_id, row.room_id, row.task_id) for row in self.rows]


async def read(path: Path | str, **options: Any) -> Read:
    found = Read()
    try:
        async with aclosing(open_list(path, **options)) as batches:
            async for batch in batches:
                assert batch.source == str(path)
                found.rows += batch.rows
                found.broken += batch.broken
                found.left_out += batch.left_out
    except ListError as error:
        found.error = str(error)
    return found


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(content: str | bytes, name: str = "tasks.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


Written = Callable[..., Path]


# Lines


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


# Bytes


async def test_gzip_is_recognised_by_its_bytes(written: Written) -> None:
    found = await read(written(gzip.compress(f"{HEADER}a,r,t\n".encode()), "tasks.csv"))
    assert found.ids == [("a", "r", "t")]


async def test_gzip_may_have_many_members_and_padding(written: Written) -> None:
    members = gzip.compress(HEADER.encode()) + gzip.compress(b"a,r,") + gzip.compress(b"") + gzip.compress(b"t\nb,r,t")
    found = await read(written(members + b"\0" * 100))
    assert found.ids == [("a", "r", "t"), ("b", "r", "t")]


async def test_truncated_gzip_gives_its_whole_lines_and_then_says_so(written: Written) -> None:
    text = HEADER + "".join(f"a,r,t{os.urandom(8).hex()}\n" for _ in range(2000))
    whole = gzip.compress(text.encode())
    found = await read(path := written(whole[: len(whole) // 2], "tasks.csv.gz"))
    assert found.error == f"{path}: its gzip data ends too early; fetch the file again"
    assert 500 < len(found.rows) < 2000
    # The last line that could be read may be half a line, and half an id may be another task's.
    assert [row.task_id for row in found.rows] == [
        line.split(",")[2] for line in text.splitlines()[1 : len(found.rows) + 1]
    ]


async def test_an_open_quote_is_settled_before_a_truncation_is_reported(written: Written) -> None:
    text = 'AppId,RoomId,TaskId,Note\na,r,t1,"open\na,r,t2,x\n' + "".join(f"{os.urandom(16).hex()}\n" for _ in range(8))
    whole = gzip.compress(text.encode())
    found = await read(written(whole[:-9], "tasks.csv.gz"))
    assert found.error is not None
    assert ("a", "r", "t2") in found.ids
    assert found.broken[0] == BrokenRow("a quote that is not closed", 2)


async def test_damaged_gzip_is_a_list_error(written: Written) -> None:
    whole = bytearray(gzip.compress(f"{HEADER}a,r,t\n".encode()))
    whole[-6] ^= 0xFF
    found = await read(path := written(bytes(whole)))
    assert found == Read(error=f"{path}: its gzip data is damaged")


async def test_what_follows_gzip_and_is_none_is_a_list_error(written: Written) -> None:
    found = await read(path := written(gzip.compress(f"{HEADER}a,r,t\n".encode()) + b"a,r,t\n"))
    assert (found.ids, found.error) == ([("a", "r", "t")], f"{path}: its gzip data is damaged")


@pytest.mark.parametrize("array", [True, False])
async def test_json_of_any_length_on_one_line_takes_no_memory(tmp_path: Path, *, array: bool) -> None:
    path = tmp_path / "tasks.json"
    value = b'{"AppId":"a","RoomId":"r","TaskId":"t","note":"' + b"x" * 50_000 + b'"}'
    with path.open("wb") as file:
        file.write(b"[" * array)
        for _ in range(400):
            file.write(value + b"," * array)
        file.write(b'{"AppId":"a","RoomId":"r","TaskId":"last"}' + b"]" * array)
    last, rows = None, 0
    with peak_memory() as peak:
        async with aclosing(open_list(path)) as batches:
            async for batch in batches:
                rows += len(batch.rows)
                last = batch.rows[-1]
    assert (rows, last) == (401, RawRow("a", "r", "last", 401))
    assert peak.bytes < MOST_BYTES


async def test_a_json_value_that_is_too_long_is_broken_and_the_next_is_read(written: Written) -> None:
    values = ['{"AppId":"a","RoomId":"r","TaskId":"1"}', '{"x":"' + '\\"}{' * 60_000 + '"}', "[" + "1," * 70_000 + "1]"]
    found = await read(written("[" + ",\n".join([*values, values[0]]) + "]"))
    assert [row.line for row in found.rows] == [1, 4]
    assert found.broken == [BrokenRow("longer than 65536 bytes", 2), BrokenRow("longer than 65536 bytes", 3)]


async def test_zstd_is_read_frame_by_frame_and_its_end_is_checked(written: Written) -> None:
    compress = pytest.importorskip("zstandard").ZstdCompressor().compress
    text = HEADER + "".join(f"a,r,t{number}\n" for number in range(3000))
    skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc"
    whole = skippable + compress(text[:20_000].encode()) + compress(text[20_000:].encode())
    assert len((await read(written(whole))).rows) == 3000
    found = await read(written(whole[:-9]))
    assert "zstd data ends too early" in str(found.error)
    assert not found.broken
    assert len(found.rows) < 3000


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="zstd is in the standard library")
async def test_zstd_without_the_extra_is_refused_with_what_to_type(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    found = await read(path := written(b"\x28\xb5\x2f\xfd\0", "tasks.csv.zst"))
    assert f"zstd -dc {path} | stopcast run -" in str(found.error)
    assert "pip install 'stopcast[zstd]'" in str(found.error)


async def test_compressed_noise_is_refused_and_not_taken_for_rows(written: Written) -> None:
    found = await read(written(bz2.compress(os.urandom(2000)), "tasks.csv.bz2"))
    assert found.error is not None
    assert not found.rows


async def test_a_gzip_bomb_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "tasks.csv"
    blank = b" " * 499 + b"\n"
    path.write_bytes(gzip.compress(HEADER.encode()) + gzip.compress(blank * 50_000 + b"a,r,t", 9))
    with peak_memory() as peak:
        assert await read(path) == Read([RawRow("a", "r", "t", 50_002)])
    assert peak.bytes < MOST_BYTES


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Path.absolute, "no such file"),
        (Path.mkdir, "a directory, not a file"),
    ],
)
async def test_a_list_that_cannot_be_opened_is_reported_in_words(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    path = tmp_path / "tasks.csv"
    make(path)
    assert await read(path) == Read(error=f"{path}: {words}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_a_file_without_permission_is_reported_in_words(written: Written) -> None:
    path = written(HEADER)
    path.chmod(0)
    assert await read(path) == Read(error=f"{path}: no permission to read it")


async def test_a_name_that_no_file_can_have_is_a_list_error() -> None:
    assert (await read("a\0b")).error is not None


# Pipes


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


# CSV and TSV


@pytest.mark.parametrize(
    "header",
    ["AppId,RoomId,TaskId", "app_id,room-id,TASK ID", " appid , ROOMID,task_id ", '"App Id","Room Id","Task Id"'],
)
async def test_a_header_is_known_without_case_underscores_hyphens_and_spaces(written: Written, header: str) -> None:
    assert (await read(written(header + "\na,r,t\n"))).rows == [RawRow("a", "r", "t", 2)]


async def test_columns_may_stand_in_any_order_among_others(written: Written) -> None:
    found = await read(written("note,TaskId,x,AppId,RoomId\nhello,t,,a,r\n"))
    assert found.ids == [("a", "r", "t")]


async def test_without_a_header_three_columns_are_taken_in_the_apis_order(written: Written) -> None:
    assert (await read(written("a,r,t\nb,r,t\n"))).rows == [RawRow("a", "r", "t", 1), RawRow("b", "r", "t", 2)]


async def test_tsv_is_read_like_csv(written: Written) -> None:
    found = await read(written('TaskId\tAppId\tRoomId\tNote\nt\t a \t"r"\tx, y\n', "tasks.tsv"))
    assert found.ids == [("a", "r", "t")]


@pytest.mark.parametrize(
    ("first", "words"),
    [
        ("AppId,RoomId,Task", "the header has no TaskId; it has 'AppId', 'RoomId', 'Task'"),
        ("x,TaskId", "the header has no AppId and no RoomId; it has 'x', 'TaskId'"),
        ("a r t", f"{NO_HEADER}, not 1: 'a r t'"),
        ("a,r", None),
        ("a,r,t,x", None),
        ('a,"r,t', "the first row, which may be the header, cannot be read: a quote that is not closed"),
    ],
)
async def test_a_first_row_that_settles_nothing_is_a_list_error(
    written: Written, first: str, words: str | None
) -> None:
    found = await read(path := written(first + "\na,r,t\n"))
    assert not found.rows
    assert found.error is not None
    assert words is None or found.error.startswith(f"{path}: {words}")


async def test_a_first_line_that_is_too_long_may_have_been_the_header(written: Written) -> None:
    found = await read(path := written("x" * 70_000 + "\na,r,t\n"))
    assert found == Read(error=f"{path}: line 1, which may be the header, cannot be read: longer than 65536 bytes")


@pytest.mark.parametrize("other", ["app_id", "APPID", "App ID", "应用ID", "AppId"])
async def test_a_header_that_names_an_id_twice_is_refused(written: Written, other: str) -> None:
    found = await read(path := written(f"AppId,{other},RoomId,TaskId\na,b,r,t\n"))
    assert not found.rows
    assert str(found.error).startswith(f"{path}: 2 columns are named AppId: 'AppId', '{other}'. Name the one to use")


async def test_of_two_columns_for_one_id_the_one_that_the_user_spells_so_counts(written: Written) -> None:
    path = written("app_id,AppId,RoomId,TaskId\nx,a,r,t\n")
    assert (await read(path, columns=Columns.parse("app=AppId"))).ids == [("a", "r", "t")]
    assert (await read(path, columns=Columns.parse("app=app_id"))).ids == [("x", "r", "t")]
    assert (await read(path, columns=Columns.parse("app=1,room=3,task=4"))).ids == [("x", "r", "t")]
    assert "2 columns are named AppID" in str((await read(path, columns=Columns.parse("app=AppID"))).error)


async def test_an_object_that_names_an_id_twice_is_sent_only_where_both_values_are_equal(written: Written) -> None:
    line = '{"AppId":"a","RoomId":"r","TaskId":"t%d","%s":%s}\n'
    others = [("task_id", '"t1"'), ("task_id", '"u"'), ("TASKID", "null"), ("任务ID", '"u"'), ("TaskID", '"t5"')]
    path = written("".join(line % (number, *other) for number, other in enumerate(others, start=1)), "x.jsonl")
    found = await read(path)
    assert found.ids == [("a", "r", "t1"), ("a", "r", "t5")]
    assert [row.line for row in found.broken] == [2, 3, 4]
    assert found.broken[0].reason == "TaskId stands under several keys with different values: 'TaskId', 'task_id'"
    assert len((await read(path, columns=Columns.parse("task=TaskId"))).rows) == len(others)


async def test_a_header_in_the_words_of_the_vendor_s_chinese_pages_is_one(written: Written) -> None:
    assert (await read(written("任务ID,应用ID,房间 ID\nt,a,r\n"))).ids == [("a", "r", "t")]


async def test_columns_may_have_other_names(written: Written) -> None:
    columns = Columns.parse("app=Application, room = Raum,task=the task")
    assert columns == Columns("Application", "Raum", "the task")
    found = await read(written("RAUM,TheTask,AppId,application\nr,t,x,a\n"), columns=columns)
    assert found.ids == [("a", "r", "t")]


async def test_a_list_for_which_names_are_given_has_to_have_them(written: Written) -> None:
    found = await read(path := written("a,r,t\n"), columns=Columns.parse("app=Application"))
    words = "the header has no Application and no RoomId and no TaskId; it has 'a', 'r', 't'"
    assert str(found.error).startswith(f"{path}: {words}. Name the columns to use: --columns app=NAME,room=NAME,")


@pytest.mark.parametrize(
    "text", ["", "app", "app=", "app=_", "app=a,app=b", "apps=a", "app=x,room=X", "app=RoomId", "app=a;room=b=c,"]
)
def test_columns_that_make_no_sense_are_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigurationError):
        Columns.parse(text)


async def test_a_row_with_too_few_fields_misses_values(written: Written) -> None:
    found = await read(written(HEADER + "a,r\na\n,r,\n"))
    assert found.ids == [("a", "r", None), ("a", None, None), ("", "r", "")]


async def test_a_row_with_too_many_fields_is_broken_unless_they_are_empty(written: Written) -> None:
    found = await read(written("note,AppId,RoomId,TaskId\nhello, world,a,r,t\nx,a,r,t,, \n"))
    assert found.broken == [BrokenRow("5 fields in 4 columns", 2)]
    assert found.rows == [RawRow("a", "r", "t", 3)]


async def test_fields_are_stripped_of_spaces_and_quotes(written: Written) -> None:
    found = await read(written(HEADER + ' a ,\tr, t\n"a" , "r" ,"t"\n" a ",r,"t"\n'))
    assert found.ids == [("a", "r", "t")] * 3


async def test_quoted_fields_may_hold_delimiters_and_quotes(written: Written) -> None:
    found = await read(written('AppId,RoomId,TaskId,Note\n"a",r,t,"x, ""y"", z"\nb,"r,1",t,\n'))
    assert found.ids == [("a", "r", "t"), ("b", "r,1", "t")]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
async def test_a_quoted_field_may_span_lines(written: Written, ending: str) -> None:
    lines = ["AppId,RoomId,TaskId,Note", 'a,r,t,"one', "", 'two ""2"", 3"', "b,r,t,x"]
    found = await read(written(ending.join(lines)))
    assert found == Read([RawRow("a", "r", "t", 2), RawRow("b", "r", "t", 5)])


async def test_a_quoted_field_may_span_lines_before_the_ids(written: Written) -> None:
    found = await read(written('Note,AppId,RoomId,TaskId\n"one\ntwo",a,r,t\nx,b,r,t\n'))
    assert found == Read([RawRow("a", "r", "t", 2), RawRow("b", "r", "t", 4)])


async def test_a_header_may_span_lines(written: Written) -> None:
    found = await read(written('AppId,RoomId,TaskId,"Note\n(free)"\na,r,t,x\n'))
    assert found == Read([RawRow("a", "r", "t", 3)])


@pytest.mark.parametrize(
    "lines",
    [
        ['a,r,t1,"stray', "a,r,t2,x", "a,r,t3,x"],
        ['a,r,t1,"stray', "a,r,t2,x", 'a,r,t3,"quoted"'],
        ['a,"r,t1,x', *(f"a,r,t{number},x" for number in range(40))],
        ['a,r,t1,"' + "x" * 60_000, "a,r,t2,x", "y" * 60_000 + '"'],
    ],
)
async def test_a_stray_quote_swallows_no_task(written: Written, lines: list[str]) -> None:
    path = written("AppId,RoomId,TaskId,Note\n" + "\n".join(lines))
    found = await read(path)
    assert BrokenRow("a quote that is not closed", 2) in found.broken
    tasks = [tuple(line.split(",")[:3]) for line in lines[1:] if line.startswith("a,r,")]
    assert tasks == [ids for ids in found.ids if ids in tasks]
    assert len(found.rows) + len(found.broken) == len(lines)


@pytest.mark.parametrize(
    "lines",
    [
        ['a,r,t1,"one', 'a,r,t-KEEP,important"'],
        ['a,r,t1,"one', "a,r,t-KEEP", 'two"'],
        ['a,r,t1,"one', "a,r,t-KEEP,x,,", 'two"'],
        ['a,r,t1,"one', " a , r,t-KEEP ,x", 'two" '],
        ['a,r,t1,"stray', "a,r,t2,x", 'a,r,t3,5"'],
        ['a,r,t1,"stray', 'a,r,t2,""', 'a,r,t3,5"'],
        ['a,"r,t1,x', "a,r,t2,x", 'a,r",t3,x'],
        ['a,r,t1,"pasted:', *(f"a,r,t{number},x" for number in range(50)), 'end"'],
        ['a,r,t1,x,y,"wrong width', "a,r,t-KEEP,x", 'two"'],
        ['a,r,t1,"5 inches', 'a,r,t-KEEP,"'],
        ['a,r,t1,"as Spark escapes \\"', 'a,r,t-KEEP,important"'],
        ['a,r,t1,"as Spark escapes \\"', "a,r,t-KEEP,x", 'said \\"yes\\""'],
    ],
)
async def test_a_quoted_field_that_covers_a_task_is_not_sent_in_any_way(written: Written, lines: list[str]) -> None:
    found = await read(written("AppId,RoomId,TaskId,Note\n" + "\n".join([*lines, "b,r,t,x"])))
    assert {row.reason for row in found.broken} == {AMBIGUOUS}
    assert [row.line for row in found.broken] == list(range(2, len(lines) + 2))
    assert found.ids == [("b", "r", "t")]


@pytest.mark.parametrize("notes", [['"C:\\"', '"D:\\"'], ['"C:\\"', "x"], ['"said \\"yes\\", then"', '"C:\\"']])
async def test_a_backslash_before_a_quote_changes_nothing_where_only_one_reading_closes(
    written: Written, notes: list[str]
) -> None:
    rows = [f"a,r,t{number},{note}" for number, note in enumerate(notes)]
    found = await read(written("\n".join(["AppId,RoomId,TaskId,Note", *rows])))
    assert (found.broken, found.ids) == ([], [("a", "r", f"t{number}") for number in range(len(notes))])


async def test_a_header_that_covers_a_task_is_refused(written: Written) -> None:
    found = await read(written('AppId,RoomId,TaskId,"Note\na,r,t,x"\nb,r,t,x\n'))
    assert not found.rows
    assert "next line reads as a task" in str(found.error)


@pytest.mark.parametrize(
    ("columns", "lines", "ids"),
    [
        ("AppId,RoomId,TaskId", ['a,"r', 'x",t'], ("a", "r\nx", "t")),
        ("AppId,RoomId,TaskId,Note,More", ['a,r,t,"one', 'two"'], ("a", "r", "t")),
    ],
)
async def test_a_record_over_two_lines_is_one_row_even_where_it_names_no_task(
    written: Written, columns: str, lines: list[str], ids: tuple[object, ...]
) -> None:
    found = await read(written("\n".join([columns, *lines])))
    assert (found.broken, found.ids) == ([], [ids])


async def test_a_line_that_is_too_long_settles_the_quote_before_it(written: Written) -> None:
    lines = ["AppId,RoomId,TaskId,Note", 'a,r,t1,"open', "x" * 70_000, 'two"', "b,r,t,x"]
    found = await read(written("\n".join(lines)))
    assert [(row.line, row.reason) for row in found.broken] == [
        (2, "a quote that is not closed"),
        (3, "longer than 65536 bytes"),
    ]
    assert found.rows == [RawRow('two"', None, None, 4), RawRow("b", "r", "t", 5)]


async def test_a_quoted_field_that_is_too_long_in_lines_is_broken(written: Written) -> None:
    for count, broken in ((256, False), (257, True)):
        note = "\n".join(f"line {number}" for number in range(count)) + '"'
        found = await read(written(f'AppId,RoomId,TaskId,Note\na,r,t,"{note}\nb,r,t,x\n'))
        assert bool(found.broken) == broken
        assert found.ids[-1] == ("b", "r", "t")


async def test_a_quote_is_settled_over_the_ends_of_batches_too(written: Written) -> None:
    for before in range(238, 262):
        rows = "".join(f"a,r,t{number},x\n" for number in range(before))
        found = await read(written("AppId,RoomId,TaskId,Note\n" + rows + 'a,r,t,"one\ntwo"\nb,r,t,x\n'))
        assert len(found.rows) == before + 2
        assert not found.broken


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'a,r,"t"x', "text after a closing quote inside the line"),
        (b'"a",r\rx,t', "a carriage return inside the line"),
        (b"a,r,t,x", "4 fields in 3 columns"),
    ],
)
async def test_a_broken_line_is_reported_and_the_next_is_read(written: Written, line: bytes, reason: str) -> None:
    found = await read(written(HEADER.encode() + line + b"\nb,r,t\n"))
    assert found == Read([RawRow("b", "r", "t", 3)], [BrokenRow(reason, 2)])


@pytest.mark.parametrize(
    "line", ["a,r\0,t", "a,r\rx,t", 'a,r"x,t', '"a",r\0,t', "a,r\udcff,t", "a,r,\udced\udca0\udc80"]
)
async def test_an_odd_character_or_byte_stays_in_its_field(written: Written, line: str) -> None:
    found = await read(written((HEADER + line + "\nb,r,t\n").encode("utf-8", "surrogateescape")))
    assert found.ids == [tuple(line.replace('"a"', "a").split(",")), ("b", "r", "t")]


# JSON lines


async def test_objects_and_arrays_are_rows(written: Written) -> None:
    lines = [
        '{"AppId":"a","RoomId":"r","TaskId":"1"}',
        ' {"task_id":"2","x":[{}],"app id":"a","ROOM-ID":"r"} ',
        '["a","r","3"]',
    ]
    assert (await read(written("\n".join(lines), "x.jsonl"))).ids == [("a", "r", "1"), ("a", "r", "2"), ("a", "r", "3")]


async def test_values_that_are_no_strings_and_missing_keys_are_passed_on(written: Written) -> None:
    found = await read(written('{"AppId":1,"RoomId":null,"x":2}\n[true,{},[]]\n', "x.jsonl"))
    assert found.ids == [(1, None, None), (True, {}, [])]


async def test_keys_may_have_other_names(written: Written) -> None:
    found = await read(written('{"A":"a","R":"r","t_":"t","AppId":"x"}\n', "x.json"), columns=Columns("a", "r", "t"))
    assert found.ids == [("a", "r", "t")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"AppId":"a"', "not JSON: unexpected end of data"),
        ('["a","r"]', "an array of 2, not of 3"),
        ('"a,r,t"', "neither an object nor an array"),
        ("null", "neither an object nor an array"),
        ("a,r,t", "not JSON: unexpected character"),
        (
            '{"app_id":"a","appid":"b","RoomId":"r","TaskId":"t"}',
            "AppId stands under several keys with different values: 'app_id', 'appid'",
        ),
        ("[" * 5000, "not JSON: "),
        ('["a","r","\\ud800"]', "not JSON: "),
    ],
)
async def test_a_line_that_is_no_row_is_broken(written: Written, line: str, reason: str) -> None:
    found = await read(written(f'{line}\n["b","r","t"]\n', "x.ndjson"), form=Form.JSONL)
    assert found.rows == [RawRow("b", "r", "t", 2)]
    assert [row.line for row in found.broken] == [1]
    assert found.broken[0].reason.startswith(reason)


async def test_a_line_with_broken_utf_8_is_broken(written: Written) -> None:
    found = await read(written(b'["c","r","t"]\n["a","r","\xff"]\n["b","r","t"]\n', "x.jsonl"))
    assert "--encoding" in found.broken[0].reason
    assert (len(found.broken), found.ids) == (1, [("c", "r", "t"), ("b", "r", "t")])


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.json", "x.jsonl", "x.xlsx", "x"])
@pytest.mark.parametrize(
    "content",
    [
        "AppId,RoomId,TaskId\na,r,t\n",
        "AppId\tRoomId\tTaskId\na\tr\tt\n",
        "AppId;RoomId;TaskId\na;r;t\n",
        "AppId|RoomId|TaskId\na|r|t\n",
        "sep=;\nAppId;RoomId;TaskId\na;r;t\n",
        "a,r,t\n",
        "a\tr\tt",
        '{"AppId":"a","RoomId":"r","TaskId":"t"}\n',
        '{"AppId":"a","RoomId":"r","TaskId":"t"}',
        '\n\n {"AppId":"a",\n"RoomId":"r","TaskId":"t"}',
        '[{"AppId":"a","RoomId":"r","TaskId":"t"}]',
        '[\n{"AppId":"a","RoomId":"r","TaskId":"t"}\n]\n',
        '[\n  {\n    "AppId": "a",\n    "RoomId": "r",\n    "TaskId": "t"\n  }\n]\n',
        '["a","r","t"]',
        '[["a","r","t"]]',
        '["AppId","RoomId","TaskId"]\n["a","r","t"]',
    ],
)
async def test_the_content_says_the_form_whatever_the_name_says(written: Written, name: str, content: str) -> None:
    found = await read(written(content, name))
    assert (found.ids, found.broken, found.error) == ([("a", "r", "t")], [], None)


async def test_a_form_that_is_given_goes_before_the_content(written: Written) -> None:
    assert (await read(written('["a","r","t"]', "x.csv"), form=Form.JSONL)).ids == [("a", "r", "t")]
    assert (await read(written("a\tx,r,t", "x.csv"), form=Form.TSV)).error is not None
    assert "not an Excel workbook" in str((await read(written("a,r,t"), form=Form.XLSX)).error)


async def test_a_first_line_that_is_too_long_does_not_settle_the_form(written: Written) -> None:
    found = await read(written('["' + "a" * 70_000 + '"]\n["a","r","t"]\n', "x"))
    assert found == Read([RawRow("a", "r", "t", 2)], [BrokenRow("longer than 65536 bytes", 1)])
    assert "longer than 65536 bytes" in str((await read(written("x" * 70_000 + "\na,r,t", "x"))).error)
    assert "jq" in str((await read(written('{"data":[{' + " " * 70_000 + "}]}", "x"))).error)


# Reports


def report(*statuses: Status) -> str:
    return "".join(
        orjson.dumps({
            "AppId": "a", "RoomId": "r", "TaskId": status, "status": status, "attempts": 1, "code": None,
            "finished_at": "2026-11-22T20:00:00.123Z",
        }).decode() + "\n"
        for status in statuses
    )  # fmt: skip


async def test_of_a_report_the_rows_that_are_not_good_are_taken(written: Written) -> None:
    found = await read(written(report(*Status), "r.jsonl"))
    words = ["failed", "set_aside", "gave_up", "still_running", "not_started", "unknown"]
    assert [row.task_id for row in found.rows] == words
    assert (found.left_out, found.broken) == (len(Status) - len(words), [])


async def test_of_a_report_the_statuses_asked_for_are_taken(written: Written) -> None:
    found = await read(written(report(*Status), "r.jsonl"), report_filter=only(Status.STOPPED, Status.FAILED))
    assert [row.task_id for row in found.rows] == ["stopped", "failed"]
    assert found.left_out == len(Status) - 2


async def test_a_report_is_read_by_its_own_keys(written: Written) -> None:
    found = await read(written(report(Status.FAILED), "r.jsonl"), columns=Columns("x", "y", "z"))
    assert found.ids == [("a", "r", "failed")]


async def test_where_statuses_are_asked_for_a_row_without_one_is_broken(written: Written) -> None:
    lines = ['["a","r","t"]', '{"AppId":"a","RoomId":"r","TaskId":"t"}', "1", "{"]
    found = await read(written("\n".join(lines), "r.jsonl"), report_filter=only(Status.FAILED))
    assert [row.reason for row in found.broken[:3]] == ["no line of a report"] * 3
    assert len(found.broken) == 4
    found = await read(
        written('{"AppId":"a","RoomId":"r","TaskId":"t"}\n' * 2, "r.jsonl"), report_filter=only(Status.FAILED)
    )
    assert (len(found.broken), found.rows) == (2, [])


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x"])
async def test_where_statuses_are_asked_for_a_csv_is_a_list_error(written: Written, name: str) -> None:
    assert "only an earlier report" in str(
        (await read(written("a,r,t\n", name), report_filter=only(Status.FAILED))).error
    )


@pytest.mark.parametrize("status", ['"done"', "1", "null", "[]", "{}"])
async def test_an_object_with_a_status_of_its_own_is_a_plain_row(written: Written, status: str) -> None:
    line = '{"AppId":"a","RoomId":"r","TaskId":"t","attempts":1,"finished_at":1,"status":' + status + "}"
    assert (await read(written(line, "r.jsonl"))).ids == [("a", "r", "t")]


@pytest.mark.parametrize("form", ["{}\n{}\n", "[{},{}]"], ids=["lines", "array"])
async def test_json_in_which_a_character_of_another_encoding_escapes_a_quote_asks_for_the_encoding(
    written: Written, form: str
) -> None:
    first = '{"AppId":"a","RoomId":"r","TaskId":"1","note":"表"}'
    second = '{"AppId":"a","RoomId":"r","TaskId":"2","note":""}'
    found = await read(written(form.format(first, second).encode("shift_jis")))
    assert found.rows == []
    assert "name the encoding, such as --encoding gb18030" in str(found.error)
