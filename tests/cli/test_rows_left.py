"""How much is left of a list."""

from __future__ import annotations

import gzip
import os
import random
import subprocess
from collections import Counter
from contextlib import aclosing
from pathlib import Path

import pytest

from stopcast.cli.display import messages
from stopcast.cli.lists import Lists
from stopcast.cli.lists.remaining import RowsLeft
from stopcast.report.totals import AccountFigures, Summary
from stopcast.tasks.outcome import Status
from support.display import options


@pytest.mark.parametrize(
    ("done", "to_do", "line"),
    [
        (230, RowsLeft(770, exact=False), "77 % of the list is left (about 770 rows)"),
        (9_999, RowsLeft(1, exact=True), "1 % of the list is left (1 row)"),
        (1, RowsLeft(9_999, exact=True), "99 % of the list is left (9,999 rows)"),
        (0, RowsLeft(20, exact=True), "100 % of the list is left (20 rows)"),
        (0, None, "239 rows read but not finished; more may not have been read"),
    ],
)
def test_the_totals_of_a_run_that_ended_early_say_what_is_left(done: int, to_do: RowsLeft | None, line: str) -> None:
    text = messages.totals(Summary(not_finished=239), "r.jsonl", done=done, to_do=to_do)
    # No line names a report that is not there.
    assert text.splitlines() == ["0 rows: none", line]


@pytest.mark.parametrize(
    ("number", "words"),
    [(1_029_521, "about 1,030,000 rows"), (28_449, "about 28,400 rows"), (770, "about 770 rows"), (7, "about 7 rows")],
)
def test_an_estimate_has_no_digits_that_mean_nothing(number: int, words: str) -> None:
    assert words in messages.totals(Summary(), "r.jsonl", done=5, to_do=RowsLeft(number, exact=False))


def test_the_totals_name_an_account_without_calls() -> None:
    accounts = {"team-a": AccountFigures(0, 0, 0.0), "team-b": AccountFigures(1, 1, 1.0, "refused")}
    lines = messages.totals(Summary(accounts=accounts), "r.jsonl").splitlines()
    assert lines[1:3] == [
        "  account team-a: no calls",
        "  account team-b: 1 call, never more than 1 in any second; given up",
    ]


def random_csv(path: Path, rows: int) -> Path:
    chance = random.Random(0)
    text = "AppId,RoomId,TaskId\n" + "".join(f"app,room-{n},{chance.randbytes(8).hex()}\n" for n in range(rows))
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["list.csv", "list.csv.gz"])
async def test_the_rows_left_of_a_large_list_are_estimated_from_its_size(tmp_path: Path, name: str) -> None:
    lists = Lists.of(options(str(random_csv(tmp_path / name, 60_000))).lists)
    taken = 0
    assert lists.rows_left() is None
    async with aclosing(lists.batches()) as batches:
        async for batch in batches:
            taken += len(batch.rows)
            left = lists.rows_left()
            assert left is not None
            assert left.number == pytest.approx(60_000 - taken, abs=6_000)
    assert lists.rows_left() == RowsLeft(0, exact=True)


async def test_the_rows_left_of_a_small_list_are_exact(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("AppId,RoomId,TaskId\na,r,1\na,r,2\n\na,r,3")
    (tmp_path / "other.csv").write_text("a,r,4\n")
    lists = Lists.of(options(str(tmp_path / "list.csv"), str(tmp_path / "other.csv")).lists)
    async with aclosing(lists.batches()) as batches:
        seen = [(len(batch.rows), lists.rows_left()) async for batch in batches]
    # A blank line counts as a row until it was passed. The last line has no line end: it counts once the list ended.
    assert seen[0] in [(2, RowsLeft(2, exact=False)), (2, RowsLeft(3, exact=False))]
    assert lists.rows_left() == RowsLeft(0, exact=True)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'[{"AppId":"a","RoomId":"r","TaskId":"1"},{"AppId":"a","RoomId":"r","TaskId":"2"}]',
        b'[\n{"AppId":"a",\n"RoomId":"r",\n"TaskId":"1"}\n]',
        "AppId,RoomId,TaskId\na,r,1\n".encode("utf-16"),
        b"AppId,RoomId,TaskId\ra,r,1\r",
    ],
    ids=["empty", "empty array", "array", "pretty", "UTF-16", "CR"],
)
async def test_no_row_is_left_of_a_list_that_was_read_to_its_end(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list").write_bytes(content)
    lists = Lists.of(options(str(tmp_path / "list")).lists)
    async with aclosing(lists.batches()) as batches:
        async for _ in batches:
            pass
    assert lists.rows_left() == RowsLeft(0, exact=True)


async def test_the_rows_left_of_a_pipe_are_unknown(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    writer = subprocess.Popen(["sh", "-c", "echo a,r,1 > fifo"], cwd=tmp_path)
    lists = Lists.of(options(str(tmp_path / "fifo")).lists)
    async with aclosing(lists.batches()) as batches:
        assert len([batch async for batch in batches]) == 1
    assert lists.rows_left() == RowsLeft(0, exact=True)
    writer.wait()


@pytest.mark.parametrize(
    ("summary", "words"),
    [
        (Summary(calls=3, worst_second=3, mean_per_second=3.0, seconds=5.0), "3 calls in 5 s, never more than 3"),
        (Summary(calls=30, worst_second=3, mean_per_second=2.9, seconds=12.0), "30 calls in 12 s, 2.9 a second, never"),
    ],
)
def test_the_totals_show_a_mean_rate_only_of_calls_that_took_more_than_a_second(summary: Summary, words: str) -> None:
    assert words in messages.totals(summary, "r.jsonl")


@pytest.mark.parametrize(("asked", "words"), [(False, "--resume sends 2 of"), (True, "--resume asks about 2 of")])
def test_what_a_resumed_run_does_again_is_what_the_command_does(*, asked: bool, words: str) -> None:
    status = Status.STILL_RUNNING if asked else Status.GAVE_UP
    summary = Summary(statuses=Counter({status: 2}), asked=asked, not_finished=1)
    assert f"; {words} the others again" in messages.totals(summary, "r.jsonl", done=2, to_do=RowsLeft(1, exact=True))
