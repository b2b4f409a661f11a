"""The reader of delimited text beside other readers of the same dialect: it never sends a task that they do not see."""

from __future__ import annotations

import csv
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stopcast.errors import ListError
from stopcast.sources import Form, ReadOptions
from stopcast.sources.csv_rows import AMBIGUOUS
from stopcast.tasks.task import ID_PATTERN
from support.lists import rows_of

HEADER = "AppId,RoomId,TaskId,Note"
#: Fields without a space or a carriage return, of which readers have their own opinions.
FIELDS = [
    "a",
    "r",
    "t1",
    "t2",
    "x",
    "",
    '"q"',
    '"',
    '"open',
    'close"',
    '"a,r,t3,x"',
    '""',
    'say ""so""',
    '5"',
    '"x""y"',
]
Ids = tuple[str, str, str]


def ids_of(rows: Iterator[Sequence[str]]) -> list[Ids]:
    found = [(row[0], row[1], row[2]) for row in rows if len(row) > 2]
    return [ids for ids in found if all(ID_PATTERN.fullmatch(value or "") for value in ids)]


def ours(text: str, form: Form = Form.CSV) -> tuple[list[Ids], Counter[str]]:
    """Return the tasks that we send, and how often each reason is given for a row that is not sent."""
    options = ReadOptions(form, delimiter="\t" if form is Form.TSV else ",")
    batches = list(rows_of([text.encode()], options))
    sent = ids_of(row[:3] for batch in batches for row in batch.rows)  # type: ignore[misc]
    return sent, Counter(row.reason for batch in batches for row in batch.broken)


def by_csv(text: str) -> list[Ids] | None:
    """Return the tasks that the standard library's reader sees, None where it says that the text is malformed."""
    try:
        return ids_of(iter(list(csv.reader(text.splitlines(keepends=True), strict=True))[1:]))
    except csv.Error:
        return None


def text_of(rows: Sequence[Sequence[str]]) -> str:
    return "".join(f"{','.join(row)}\n" for row in [HEADER.split(","), *rows])


ROWS = st.lists(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=5), max_size=12)


@settings(max_examples=400, deadline=None, suppress_health_check=[*HealthCheck])
@given(ROWS)
def test_no_task_is_sent_that_the_standard_library_does_not_see(rows: list[list[str]]) -> None:
    text = text_of(rows)
    if (theirs := by_csv(text)) is None:
        return
    try:
        sent, reasons = ours(text)
    except ListError:
        return
    assert not Counter(sent) - Counter(theirs)
    # What it sees and we do not send is said to be ambiguous, or to have too many fields.
    refused = Counter(theirs) - Counter(sent)
    explained = reasons[AMBIGUOUS] + sum(number for reason, number in reasons.items() if "fields in" in reason)
    assert refused.total() <= explained


def test_of_well_formed_lists_most_tasks_are_sent() -> None:
    sent = seen = 0
    for seed in range(2000):
        chance = random.Random(seed)
        rows = [["a", "r", f"t{n}", chance.choice(['"two\nlines"', '"x, ""y"""', "x", ""])] for n in range(8)]
        text = text_of(rows)
        theirs = by_csv(text)
        assert theirs is not None
        sent += len(ours(text)[0])
        seen += len(theirs)
    assert sent == seen == 16_000


def test_no_task_is_sent_that_duckdb_does_not_see(tmp_path: Path) -> None:
    duckdb: Any = pytest.importorskip("duckdb", reason="DuckDB is not installed: pip install 'stopcast[bench]'")
    compared = 0
    for seed in range(150):
        chance = random.Random(seed)
        rows = [chance.choices(FIELDS, k=4) for _ in range(chance.randrange(8))]
        path = tmp_path / "list.csv"
        path.write_text(text_of(rows))
        try:
            read = duckdb.sql(
                f"SELECT * FROM read_csv('{path}', header=true, delim=',', quote='\"', escape='\"', auto_detect=false, "
                "all_varchar=true, null_padding=true, columns={'AppId':'VARCHAR','RoomId':'VARCHAR','TaskId':'VARCHAR',"
                "'Note':'VARCHAR'})"
            ).fetchall()
            sent, _ = ours(path.read_text())
        except (duckdb.Error, ListError):
            continue  # one of the two says that the list is malformed
        theirs = ids_of([value or "" for value in row] for row in read)
        assert not Counter(sent) - Counter(theirs), path.read_text()
        compared += 1
    assert compared
