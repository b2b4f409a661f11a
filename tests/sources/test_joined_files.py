"""Lists that were made of several files with ``cat``: marks, headers and values in the middle."""

from __future__ import annotations

import pytest

from stopcast.sources.table import HEADER_AGAIN
from stopcast.sources.text import Detected, text_of
from support.reading import HEADER, Read, Written, read

MARK = "\ufeff"
FIRST, SECOND, THIRD = (f'{{"AppId":"{name}","RoomId":"r","TaskId":"t"}}' for name in "abc")


def apps(found: Read) -> list[object]:
    return [row.app_id for row in found.rows]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("marks", [MARK, MARK * 2])
async def test_a_byte_order_mark_at_the_beginning_of_a_line_means_nothing(
    written: Written, marks: str, end: str
) -> None:
    for lines in ([FIRST, SECOND], [f"[{FIRST}]", f"[{SECOND}]"], ["a,r,t", "b,r,t"]):
        found = await read(written("".join(f"{marks}{line}{end}" for line in lines)))
        assert (apps(found), found.broken, found.error) == (["a", "b"], [], None)


@pytest.mark.parametrize("size", range(1, 12))
def test_a_byte_order_mark_is_found_wherever_the_pieces_of_a_list_end(size: int) -> None:
    text = f"{MARK}{HEADER}a,r,t\n{MARK}{MARK}b,r,t\n".encode()
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    assert b"".join(text_of(iter(pieces), Detected())) == text.replace(MARK.encode(), b"")


async def test_utf_16_files_are_joined_with_their_marks(written: Written) -> None:
    found = await read(written(b"".join(f"{HEADER}{app},r,t\n".encode("utf-16") for app in "ab")))
    assert apps(found) == ["a", "b"]
    assert [(row.reason, row.line) for row in found.broken] == [(HEADER_AGAIN, 3)]


@pytest.mark.parametrize("between", ["", " ", ",", MARK])
async def test_several_values_on_one_line_of_json_lines_are_a_broken_row_that_says_so(
    written: Written, between: str
) -> None:
    found = await read(written(f"{FIRST}\n{SECOND}{between}{THIRD}\n{FIRST}\n"))
    assert apps(found) == ["a", "a"]
    assert [row.line for row in found.broken] == [2]
    assert found.broken[0].reason.startswith("not JSON: several values on one line")


@pytest.mark.parametrize("between", ["", " ", ",", MARK])
async def test_several_values_on_the_first_line_are_a_row_each(written: Written, between: str) -> None:
    found = await read(written(f"{FIRST}{between}{SECOND}\n{THIRD}\n"))
    assert (apps(found), found.broken) == (["a", "b", "c"], [])


@pytest.mark.parametrize("mark", ["", MARK])
@pytest.mark.parametrize("beginning", [HEADER, ""])
async def test_a_header_that_is_joined_to_the_row_above_it_is_no_row(
    written: Written, beginning: str, mark: str
) -> None:
    found = await read(written(f"{beginning}a,r,t\nb,r,t{mark}{HEADER}c,r,t\n"))
    assert apps(found) == ["a", "c"]
    assert [row.line for row in found.broken] == [2 + bool(beginning)]
    assert "joined without a line end" in found.broken[0].reason


@pytest.mark.parametrize(
    "header", ["TaskId,RoomId,AppId", "task_id,note,app_id,room_id", "room,task,app", "Time,AppId,RoomId,TaskId"]
)
async def test_no_row_is_read_below_a_header_that_is_joined_to_a_row_and_has_other_columns(
    written: Written, header: str
) -> None:
    found = await read(written(f"{HEADER}a,r,t\nb,r,t{header}\nx,y,z\nx,y,z\n"))
    assert apps(found) == ["a"]
    assert [row.line for row in found.broken] == [3, 4, 5]


async def test_files_with_different_line_ends_are_refused_with_what_to_type(written: Written) -> None:
    found = await read(written(f"{HEADER}a,r,t\n".replace("\n", "\r") + f"{HEADER}b,r,t\n"))
    assert (apps(found), found.broken) == ([], [])
    assert str(found.error).endswith(r"tr '\r' '\n' < LIST | stopcast run -")


async def test_a_note_with_commas_is_no_header(written: Written) -> None:
    found = await read(written(f"{HEADER.strip()},Note\na,r,t,live, record, stream\nb,r,t,\n"))
    assert apps(found) == ["b"]
    assert [row.line for row in found.broken] == [2]
