from __future__ import annotations

import gzip
import random
import re
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stopcast.errors import ListError
from stopcast.sources import Form, ReadOptions, ReportFilter
from stopcast.sources.csv_rows import AMBIGUOUS, EXTREMES
from stopcast.sources.text import Detected, text_of
from stopcast.tasks.intake import Intake
from stopcast.tasks.outcome import Status
from stopcast.tasks.task import Batch, BrokenRow, RawRow
from support.lists import only, open_list, rows_of

PLAIN = [
    b"a",
    b"r1",
    b"task_9",
    b",",
    b",",
    b"\n",
    b"\n",
    b"\r\n",
    b"\r",
    b" ",
    b"\t",
    b"\xff",
    b"\0",
    "é\u2028".encode(),
]
QUOTED = [*PLAIN, b'"', b'",', b',"', b'""', b"\na,r,t,", b"\n", b"x\n", b'\na,r,t,"x\n', b'y"\n']
JSON = [
    b'{"AppId":"a","RoomId":"r","TaskId":"t"}\n', b'["a","r","t"]\n', b'["a",1,null]\n', b"[]\n", b"{}\n", b"1\n",
    b'{"AppId":"a","RoomId":"r","TaskId":"t","status":"failed","attempts":1,"finished_at":""}\n',
    b'{"AppId":"a","RoomId":"r","TaskId":"t","status":"stopped","attempts":1,"finished_at":""}\n',
    b"{", b"}", b"[", b"]", b'"', b":", b",", b"\n", b"\r\n", b" ", b"\xff", b'"\\ud800"', b"\0",
    b'{"appid":1,"app_id":1',
]  # fmt: skip
WHOLE_LISTS = [*QUOTED, *JSON, b"\xef\xbb\xbf", b"\xff\xfe", b"\x1f\x8b", b"AppId,RoomId,TaskId,Note\n", b"x" * 70_000]


class Read:
    """What a list comes to when its bytes arrive in these chunks."""

    def __init__(self, chunks: Iterable[bytes], form: Form, statuses: Iterable[Status] | None = None) -> None:
        self.rows: list[RawRow] = []
        self.broken: list[BrokenRow] = []
        self.left_out = 0
        self.not_chosen = 0
        self.error: str | None = None
        self.counts: dict[str, object] = {}
        intake = Intake()
        try:
            taken = ReportFilter() if statuses is None else only(*statuses)
            texts = text_of(iter(chunks), Detected())
            self._take(rows_of(texts, ReadOptions(form, report_filter=taken)), intake)
        except ListError as error:
            self.error = str(error)
        self.counts = intake.as_json()

    def _take(self, batches: Iterable[Batch], intake: Intake) -> None:
        for batch in batches:
            intake.take(batch, 0.0)
            self.rows += batch.rows
            self.broken += batch.broken
            self.left_out += batch.left_out
            self.not_chosen += batch.not_chosen

    @property
    def count(self) -> int:
        return len(self.rows) + len(self.broken) + self.left_out


def content(chance: random.Random, tokens: Sequence[bytes], most: int = 60) -> bytes:
    return b"".join(chance.choices(tokens, k=chance.randrange(most)))


def cut(chance: random.Random, data: bytes) -> list[bytes]:
    ends = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(4)))
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]


def lines_that_hold_something(data: bytes, delimiter: bytes = b"") -> list[int]:
    lines = enumerate((line.rstrip(b"\r") for line in data.split(b"\n")), start=1)
    return [
        number
        for number, line in lines
        if line.strip(b" \t" + delimiter) and (line.strip() or (delimiter and delimiter in line))
    ]


@pytest.mark.parametrize(
    ("form", "header", "delimiter"),
    [(Form.CSV, b"AppId,RoomId,TaskId\n", b","), (Form.TSV, b"AppId\tRoomId\tTaskId\n", b"\t")],
)
def test_every_line_of_a_csv_without_quotes_is_accounted_for(form: Form, header: bytes, delimiter: bytes) -> None:
    for seed in range(4000):
        chance = random.Random(seed)
        body = content(chance, PLAIN)
        read = Read(cut(chance, header + body), form)
        found = sorted([row.line for row in read.rows] + [row.line for row in read.broken])
        assert found == [line + 1 for line in lines_that_hold_something(body, delimiter)], seed
        assert read.error is None


def test_every_line_of_json_is_accounted_for() -> None:
    for seed in range(4000):
        chance = random.Random(seed)
        data = b'["a","r","0"]\n' + content(chance, JSON, 20)
        statuses = chance.choice([None, [Status.FAILED], list(Status)])
        read = Read(cut(chance, data), Form.JSONL, statuses)
        assert read.count == len(lines_that_hold_something(data)), seed
        assert read.error is None


def test_no_task_that_stands_on_a_line_by_itself_is_lost_to_quotes() -> None:
    refused = 0
    for seed in range(4000):
        chance = random.Random(seed)
        body = b"\n".join(
            chance.choice([b"a,r,t%d,x" % number, content(chance, QUOTED, 8)]) for number in range(chance.randrange(25))
        )
        read = Read([b"AppId,RoomId,TaskId,Note\n", body], Form.CSV)
        rows = {row.line: row[:3] for row in read.rows}
        ambiguous = {row.line for row in read.broken if row.reason in {AMBIGUOUS, EXTREMES}}
        for number, line in enumerate(body.split(b"\n"), start=2):
            if re.fullmatch(rb"a,r,t\d+,x", line):
                # It is sent, or it is said why it is not: a quoted field covers it.
                assert (rows.get(number) == tuple(line.decode().split(",")[:3])) is (number not in ambiguous), seed
                refused += number in ambiguous
    assert refused


@pytest.mark.parametrize("form", list(Form))
def test_how_the_bytes_arrive_makes_no_difference(form: Form) -> None:
    for seed in range(1500):
        chance = random.Random(seed)
        data = content(chance, WHOLE_LISTS if chance.random() < 0.5 else QUOTED)
        if chance.random() < 0.7:
            data = b"AppId,RoomId,TaskId,Note\n" + data
        whole, parts = Read([data], form), Read(cut(chance, data), form)
        assert vars(whole) == vars(parts), seed


def test_no_bytes_do_more_than_refuse_the_list() -> None:
    for seed in range(3000):
        chance = random.Random(seed)
        for data in (chance.randbytes(chance.randrange(200)), content(chance, WHOLE_LISTS)):
            read = Read(cut(chance, data), chance.choice(list(Form)), chance.choice([None, [Status.FAILED]]))
            intake = Intake()
            taken = intake.take(Batch("x", read.rows, read.broken, read.left_out, not_chosen=read.not_chosen), 0.0)
            assert intake.as_json() == read.counts, seed
            assert len(taken.accepted) + len(taken.outcomes) == len(read.rows) + len(read.broken), seed


@settings(max_examples=200, deadline=None, suppress_health_check=[*HealthCheck])
@given(st.lists(st.sampled_from(WHOLE_LISTS) | st.binary(max_size=20), max_size=30), st.data())
async def test_no_file_does_more_than_refuse_the_list(tmp_path: Path, tokens: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(tokens)
    if data.draw(st.booleans()):
        raw = gzip.compress(raw, 1)
        raw = raw[: data.draw(st.integers(0, len(raw)))]
    path = tmp_path / data.draw(st.sampled_from(["x", "x.csv", "x.tsv.gz", "x.json"]))
    path.write_bytes(raw)
    intake = Intake()
    rows = 0
    try:
        async with aclosing(open_list(path)) as batches:
            async for batch in batches:
                rows += len(batch.rows) + len(batch.broken)
                intake.take(batch, 0.0)
    except ListError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017 - an error is only one of two good ends
    assert intake.rows == rows
