"""What a user sees while a run lasts, and how much of the lists is left."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import os
import pickle
import random
import re
import subprocess
import sys
import time
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from stopcast import Status
from stopcast.cli.display import messages
from stopcast.cli.display.attempt_stats import AttemptStats, ErrorCount
from stopcast.cli.display.frame import Subject, frame
from stopcast.cli.display.monitor import RunMonitor, RunSnapshot
from stopcast.cli.display.progress import Progress
from stopcast.cli.lists import Lists
from stopcast.cli.lists.remaining import RowsLeft
from stopcast.cli.options import ListOptions, Options, OutputOptions
from stopcast.cli.running.steering import Steering
from stopcast.cli.user import User
from stopcast.i18n import STATUS_WORDS, Language, speaking
from stopcast.report.totals import AccountFigures, Summary
from stopcast.run import Run
from stopcast.sandbox import Emulator, Faults
from stopcast.sources.iterables import batches_of
from support.processes import Shell, read_report, statuses, tasks, until, write_csv
from support.redis_server import free_port
from support.terminal import outlive_the_terminal, terminal
from support.virtual import Api, in_virtual_time, stopped, virtual_stopper

REPORT = "stopcast-report.jsonl"
SNAPSHOT = RunSnapshot(
    state="",
    seconds=83,
    done=12_345,
    bad=3,
    to_do=RowsLeft(16_055, exact=False),
    seconds_left=108,
    statuses={Status.STOPPED: 12_300, Status.DUPLICATE: 42, Status.FAILED: 3},
    rate=148.9,
    limited_to=75,
    cap=150,
    rates=[0, 75, 150, 149, 300],
    in_flight=14,
    waiting=3,
    retries=27,
    throttled=12,
    latency_p50=0.022,
    latency_p95=1.3,
    errors=[
        ErrorCount("InternalError", 24, "An internal error.", 0),
        ErrorCount("no answer", 1, "Reset \u4e2d\u6587", 0),
    ],
)


def options(*tasks: str) -> Options:
    return Options(lists=ListOptions(tasks=tasks))


# What is shown


def test_the_display_shows_the_state_of_the_run_and_is_erased_at_its_end(shell: Shell, api: Emulator) -> None:
    api.faults = Faults({"internal": tasks(20), "throttled": tasks(5, first=30), "parameter": tasks(7, first=50)})
    name = write_csv(shell / "list.csv", [*tasks(400), *tasks(10)])
    with terminal(shell, "run", name, "--endpoint", api.url, "--max-per-second", "200") as shown:
        until(lambda: "7 failed" in shown.text and "5 throttled" in shown.text and "left" in shown.text)
        text = shown.text
        assert shown.end() == 1
        after = shown.text
    assert "Stopping list.csv" in text
    assert "of 410 rows" in text
    assert "a second of 200" in text
    for words in ("in flight", "waiting", "latency", "p95", " stopped", " %", "InternalError", "InvalidParameter"):
        assert words in text
    assert "in flight" not in after
    assert after.splitlines()[0].startswith("410 rows: ")


@pytest.mark.parametrize("width", [8, 20, 40, 80, 100])
@pytest.mark.parametrize("unicode", [True, False])
def test_no_line_of_the_display_is_wider_than_the_terminal(width: int, unicode: bool) -> None:  # noqa: FBT001
    lines = list(frame(SNAPSHOT, Subject("Stopping a list with a long name.csv"), width, unicode=unicode))
    assert max(cell_len(line.plain) for line in lines) <= width
    assert unicode or all(line.plain.isascii() for line in lines if "Reset" not in line.plain)


def test_a_display_of_forty_columns_still_shows_all_figures() -> None:
    text = "\n".join(line.plain for line in frame(SNAPSHOT, Subject("Stopping list.csv"), 37))
    for words in (
        "12,345 of about 28,400",
        "148.9",
        "held at 75",
        "14 in flight",
        "22 ms",
        "1.3 s",
        "27",
        "12 throttled",
    ):
        assert words in text


def test_control_characters_from_outside_never_reach_the_terminal(shell: Shell, api: Emulator) -> None:
    hostile = [ErrorCount("\x1b[2J", 1, "\x07\u202e", 0)]
    snapshot = replace(SNAPSHOT, errors=hostile)
    text = "".join(line.plain for line in frame(snapshot, Subject("Stopping list.csv"), 80))
    assert text.isprintable()
    (shell / "li\x1b[5mst.csv").write_text("a,r,t\n")
    with terminal(shell, "run", "li\x1b[5mst.csv", "--endpoint", api.url) as shown:
        assert shown.end() == 0
    assert b"\x1b[5m" not in shown.raw


def test_the_display_says_when_the_run_ends_and_when_it_must() -> None:
    soon = replace(SNAPSHOT, until=60.0, seconds_left=108.0)
    lines = [line.plain for line in frame(soon, Subject("Stopping list.csv"), 100)]
    ends, deadline = (time.strftime("%H:%M:%S", time.localtime(time.time() + after)) for after in (108, 60))
    # A second may pass between the two readings of the clock, or midnight.
    assert any(f"1 min 48 s left, until {ends[:4]}" in line or "-" in line for line in lines)
    (until_line,) = [line for line in lines if line.startswith(" Until")]
    assert f"{deadline[:4]}" in until_line or "-" in until_line
    assert "in 1 min 00 s   the rest is for --resume" in until_line
    early = [line.plain for line in frame(replace(soon, seconds_left=50.0), Subject("Stopping list.csv"), 100)]
    assert not any("for --resume" in line for line in early)


def colour_of(text: str, lines: list[Text]) -> str:
    """Return the colour of a text in the display."""
    console = Console(color_system="standard", width=100, force_terminal=True)
    (line,) = [line for line in lines if text in line.plain]
    colour = line.get_style_at_offset(console, line.plain.index(text)).color
    assert colour is not None
    return colour.name


def test_what_is_retried_is_amber_and_what_failed_is_red() -> None:
    errors = [
        ErrorCount("InternalError", 24, "", 0, retried=True),
        ErrorCount("InvalidParameter", 3, "", 0, retried=False),
    ]
    numbers = {Status.STOPPED: 1, Status.FAILED: 22, Status.GAVE_UP: 333, Status.SET_ASIDE: 4444}
    lines = list(frame(replace(SNAPSHOT, errors=errors, statuses=numbers), Subject("Stopping list.csv"), 100))
    assert colour_of("InternalError", lines) == "yellow"
    assert colour_of("InvalidParameter", lines) == "red"
    assert colour_of("22 failed", lines) == "red"
    assert colour_of("333 gave up", lines) == colour_of("4,444 set aside", lines) == "yellow"


def shown(snapshot: RunSnapshot, width: int = 77, height: int = 24, *facts: str) -> list[str]:
    return [line.plain for line in frame(snapshot, Subject("Stopping list.csv", facts), width, height)]


def test_what_is_retried_is_said_in_words_too() -> None:
    errors = [ErrorCount("InternalError", 1_024, "", 0), ErrorCount("InvalidParameter", 3, "", 0, retried=False)]
    lines = shown(replace(SNAPSHOT, errors=errors))
    assert any(line.startswith(" InternalError      1,024 retried ") for line in lines)
    assert any(line.startswith(" InvalidParameter       3 not retried ") for line in lines)


@pytest.mark.parametrize("width", [57, 77])
def test_the_message_of_an_error_has_a_line_of_its_own_where_it_would_be_cut(width: int) -> None:
    message = "Cannot connect to host 127.0.0.1:9 [refused]"
    lines = shown(replace(SNAPSHOT, errors=[ErrorCount("no answer", 7, message, time.time())]), width)
    assert lines[-1] == f"   {message}"


def test_on_a_low_terminal_the_errors_give_way_to_the_keys() -> None:
    errors = [ErrorCount(f"Error{number}", 1, "A message that is long. " * 3, 0) for number in range(4)]
    snapshot = replace(SNAPSHOT, errors=errors, keys=[("q", "end")])
    for height in range(10, 24):
        lines = shown(snapshot, 77, height)
        assert len(lines) <= height
        assert lines[-1] == " q end"


@pytest.mark.parametrize("width", [37, 57, 97])
def test_no_way_to_continue_is_cut(width: int) -> None:
    ways = ["press p", "kill -USR2 4711", "echo resume > control"]
    text = "\n".join(shown(replace(SNAPSHOT, paused=True, state="paused", to_continue=ways), width))
    assert all(way in text for way in ways)


def test_the_display_says_where_the_calls_go_and_that_throttling_slows_them() -> None:
    snapshot = replace(SNAPSHOT, slowed_to=61.7, quota_away=True)
    text = "\n".join(shown(snapshot, 77, 24, "to a.example.com", "key AKLT…"))
    assert " Account  to a.example.com   key AKLT…" in text
    assert "slowed to 62 by throttling" in text
    assert "the shared quota is away" in text


def test_without_an_answer_there_is_no_latency(shell: Shell) -> None:
    name = write_csv(shell / "list.csv", tasks(30))
    with terminal(shell, "run", name, "--endpoint", f"http://127.0.0.1:{free_port()}") as screen:
        until(lambda: "no connection" in screen.text)
        text = screen.text
    assert "latency" not in text
    assert "none yet" in text


def test_no_english_is_on_the_chinese_display() -> None:
    snapshot = replace(SNAPSHOT, errors=[], paused=True, to_continue=["kill -USR2 1"], until=5000.0, keys=[("q", "")])
    with speaking(Language.ZH):
        text = "\n".join(line.plain for line in frame(snapshot, Subject("list.csv"), 100))
    assert not set(re.findall("[A-Za-z]{2,}", text)) - {"list", "csv", "kill", "USR", "resume", "ms", "p95"}


def test_nothing_is_drawn_over_a_report_that_goes_to_the_terminal(shell: Shell, api: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(2))
    with terminal(shell, "run", name, "--endpoint", api.url, "-o", "-", columns=400) as screen:
        assert screen.end() == 0
    assert screen.text.count('"status":"stopped"') == 2
    assert b"\x1b" not in screen.raw


# Without the display


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"TERM": ""}, {"CI": "true"}], ids=str)
def test_nothing_is_drawn_on_a_dumb_terminal_or_in_continuous_integration(
    shell: Shell, api: Emulator, variables: dict[str, str]
) -> None:
    shell.variables |= variables
    with terminal(shell, "run", write_csv(shell / "list.csv", tasks(60)), "--endpoint", api.url) as shown:
        assert shown.end() == 0
    assert b"\x1b" not in shown.raw
    assert b"60 rows" in shown.raw


def test_without_rich_nothing_is_drawn_and_the_run_continues(shell: Shell, api: Emulator) -> None:
    (shell / "rich.py").write_text("raise ImportError('no rich here')")
    shell.variables["PYTHONPATH"] = str(shell.directory)
    with terminal(shell, "run", write_csv(shell / "list.csv", tasks(60)), "--endpoint", api.url) as shown:
        assert shown.end() == 0
    assert b"\x1b" not in shown.raw


def test_without_the_display_a_line_is_logged_every_ten_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.chdir(tmp_path)
    lists = Lists.of(options(write_csv(tmp_path / "list.csv", tasks(1))).lists)

    async def main() -> None:
        async with virtual_stopper(Api(stopped)) as stopper:
            stopping = Run(stopper, tmp_path / "report")
            steering = Steering(stopper, User(OutputOptions()), end=lambda: None)
            monitor = RunMonitor(stopping, stopper, lists, AttemptStats(), options("list.csv"), steering=steering)
            async with Progress(monitor, None):
                await stopping.stop_lists(batches_of(tasks(5000)))

    in_virtual_time(main)
    lines = [vars(record) for record in caplog.records if vars(record).get("event") == "progress"]
    # The report is opened in a thread, which takes no virtual time: the first call may start at any moment of it.
    first, second, *_ = (line for line in lines if 0 < line["done"] < 5000)
    assert second["done"] - first["done"] == pytest.approx(1490, abs=10)
    assert re.search(r"^\d,\d{3} of \? done, 0 bad, 14[89]\.\d a second", second["message"])


def test_a_display_that_fails_is_logged_and_the_run_continues(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def snapshot(self) -> RunSnapshot:
            raise ValueError("no snapshot")

    async def main() -> None:
        async with Progress(cast("RunMonitor", Broken()), None):
            await asyncio.sleep(60)

    in_virtual_time(main)
    (line,) = [record.getMessage() for record in caplog.records]
    assert "progress display failed: ValueError: no snapshot" in line
    assert "The run continues" in line


# Signals, resizing, and terminals that stop or close


def test_the_display_shows_control_c_and_the_command_to_continue_follows_it(shell: Shell, api: Emulator) -> None:
    api.faults = Faults({"hang": tasks(1)})
    name = write_csv(shell / "list.csv", tasks(3000))
    with terminal(shell, "run", name, "--endpoint", api.url, "--max-per-second", "50") as shown:
        until(lambda: "latency" in shown.text)
        shown.type("\x03")
        until(lambda: "Ending: interrupted" in shown.text)
        assert shown.text.splitlines()[-1] == " q cut off the calls in flight"
        shown.type("\x03")
        assert shown.end() == 130
        after = shown.text
    assert "in flight   " not in after
    assert "stopcast run --resume" in after


def test_the_display_shows_a_pause(shell: Shell, api: Emulator) -> None:
    (shell / "control").write_text("rate 40\npause\n")
    name = write_csv(shell / "list.csv", tasks(30))
    with terminal(shell, "run", name, "--endpoint", api.url, "--max-per-second", "50", "--control", "control") as shown:
        until(lambda: " Paused" in shown.text and "after that at most 40 of 50 calls a second" in shown.text)
        assert f"press p   or kill -USR2 {shown.process.pid}   or echo resume > control" in shown.text
        assert "a second of 50" not in shown.text
        assert " left" not in shown.text
        (shell / "control").write_text("resume")
        assert shown.end() == 0


#: Draws a snapshot, and again whenever the terminal changes its size. A bell marks the end of each drawing.
DRAW_AT_EACH_RESIZE = """
import pickle, signal, sys
from stopcast.cli.display.frame import Subject
from stopcast.cli.display.screen import Screen

with open("snapshot", "rb") as file, Screen(Subject("Stopping list.csv")) as screen:
    snapshot = pickle.load(file)

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})
    while True:
        screen.show(snapshot)
        sys.stderr.buffer.write(bytes([7]))
        sys.stderr.buffer.flush()
        signal.sigwait({signal.SIGWINCH})
"""


def test_after_a_resize_the_display_is_drawn_once_in_the_new_size(shell: Shell) -> None:
    (shell / "snapshot").write_bytes(pickle.dumps(SNAPSHOT))
    with terminal(shell, "-c", DRAW_AT_EACH_RESIZE, columns=120, program=(sys.executable,)) as shown:
        until(lambda: b"\a" in shown.raw)
        for columns, rows in [(40, 24), (1, 1), (12, 5), (200, 50), (80, 24)]:
            before = shown.raw.count(b"\a")
            shown.resize(columns, rows)
            until(lambda before=before: shown.raw.count(b"\a") > before)  # type: ignore[misc]
        assert shown.text.count("latency") == 1
        assert b"Traceback" not in shown.raw


def test_the_display_of_verify_has_a_colour_for_every_status() -> None:
    for status in STATUS_WORDS:
        text = "".join(line.plain for line in frame(replace(SNAPSHOT, statuses={status: 7}), Subject("Asking"), 100))
        assert f"7 {STATUS_WORDS[status]}" in text


def test_a_stopped_terminal_does_not_stop_the_calls(shell: Shell, api: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(400))
    with terminal(shell, "run", name, "--endpoint", api.url, "--max-per-second", "200") as shown:
        until(lambda: "latency" in shown.text)
        shown.type("\x13")
        until(lambda: api.calls == 400)
        shown.type("\x11")
        assert shown.end() == 0


def test_closing_the_terminal_lets_the_calls_in_flight_finish(shell: Shell, api: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(30_000))
    with terminal(shell, "run", name, "--endpoint", api.url) as shown:
        until(lambda: "latency" in shown.text)
        shown.close()
        assert shown.process.wait(30) == 129
    assert len(read_report(shell / REPORT)) == api.calls
    assert not (shell / f"{REPORT}.inflight").exists()


def test_a_run_under_nohup_continues_without_its_terminal(shell: Shell, api: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(400))
    options = ("--endpoint", api.url, "--max-per-second", "200")
    with terminal(shell, "run", name, *options, before=outlive_the_terminal) as shown:
        until(lambda: "latency" in shown.text)
        shown.close()
        assert shown.process.wait(30) == 0
    assert statuses(shell / REPORT) == {"stopped": 400}


# How much is left


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


def test_with_the_json_log_nothing_is_drawn(shell: Shell, api: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(20))
    with terminal(shell, "run", name, "--endpoint", api.url, "--log-format", "json") as shown:
        assert shown.end() == 0
    assert b"\x1b" not in shown.raw
    assert all(json.loads(line) for line in shown.raw.splitlines())
