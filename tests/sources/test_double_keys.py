"""Objects in which the key of an id stands twice: they can be read in two ways."""

from __future__ import annotations

import pytest

from stopcast.sources.columns import Columns
from stopcast.sources.json_rows import JsonParser
from stopcast.sources.lines import Lines
from stopcast.sources.report_lines import ReportFilter
from stopcast.tasks.task import RowColumns

GOOD = b'{"AppId":"a","RoomId":"r","TaskId":"t"}'


def parsed(*texts: bytes) -> tuple[list[object], list[str]]:
    """Return the TaskIds of the rows, and why the other lines are broken."""
    parser = JsonParser("list.jsonl", columns=Columns(), report_filter=ReportFilter())
    batches = list(parser.parse(Lines(range(1, len(texts) + 1), list(texts))))
    rows = [row for batch in batches for row in RowColumns.of(batch.rows)]
    return [row.task_id for row in rows], [row.reason for batch in batches for row in batch.broken]


@pytest.mark.parametrize(
    "text",
    [
        b'{"AppId":"a","AppId":"b","RoomId":"r","TaskId":"t"}',
        b'{"AppId":"a","RoomId":"r","TaskId":"t","AppId":"a"}',
        b'{"AppId":"a","App\\u0049d":"b","RoomId":"r","TaskId":"t"}',
        b'{"AppId" : "a","RoomId":"r","TaskId":"t","note":{"AppId":"a"},"AppId":"b"}',
    ],
)
def test_an_object_that_has_the_key_of_an_id_twice_is_not_sent(text: bytes) -> None:
    assert parsed(GOOD, text) == (["t"], ["two keys are named AppId"])
    assert parsed(text, text) == ([], ["two keys are named AppId"] * 2)


@pytest.mark.parametrize(
    "text",
    [
        b'{"AppId":"a","RoomId":"r","TaskId":"t","note":{"AppId":"x"}}',
        b'{"AppId":"a","RoomId":"r","TaskId":"t","note":"\\u00e9 \\"AppId\\""}',
        b'{"AppId":"a","RoomId":"r","TaskId":"t","note":"AppId","note":"AppId"}',
    ],
)
def test_a_key_of_an_id_inside_another_value_or_another_key_twice_changes_nothing(text: bytes) -> None:
    assert parsed(GOOD, text) == (["t", "t"], [])
