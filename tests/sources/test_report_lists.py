"""Reports as lists."""

from __future__ import annotations

import orjson
import pytest

from stopcast.sources import Columns
from stopcast.tasks.outcome import Status
from support.lists import only
from support.reading import Written, read


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
