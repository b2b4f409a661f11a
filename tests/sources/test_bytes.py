"""The bytes of lists: compression, encodings, and files that cannot be read."""

from __future__ import annotations

import bz2
import gzip
import os
import random
import sys
from collections.abc import Callable
from contextlib import aclosing
from importlib import import_module
from pathlib import Path
from typing import cast

import pytest

from stopcast.tasks.task import BrokenRow, RawRow
from support.lists import open_list
from support.memory import peak_memory
from support.reading import HEADER, MOST_BYTES, Read, Written, read


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("written_in", ["{}", "{}-le", "{}-be"])
async def test_an_encoding_without_its_order_of_bytes_is_enough(
    written: Written, encoding: str, written_in: str
) -> None:
    path = written(f"{HEADER}a,r,t\n".encode(written_in.format(encoding)))
    assert (await read(path, encoding=encoding)).ids == [("a", "r", "t")]


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


def zstd_compressor() -> Callable[[bytes], bytes]:
    """Return what compresses to one frame: the standard library's, from Python 3.14 on, or the extra's."""
    if sys.version_info >= (3, 14):
        return cast("Callable[[bytes], bytes]", import_module("compression.zstd").compress)
    return cast("Callable[[bytes], bytes]", pytest.importorskip("zstandard").ZstdCompressor().compress)


async def test_zstd_is_read_frame_by_frame_and_its_end_is_checked(written: Written) -> None:
    compress = zstd_compressor()
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
    found = await read(written(bz2.compress(random.Random(0).randbytes(2000)), "tasks.csv.bz2"))
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
