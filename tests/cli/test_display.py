"""What the display shows, and when there is none."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from stopcast import Status
from stopcast.cli.display.attempt_stats import AttemptStats, ErrorCount
from stopcast.cli.display.frame import Subject, frame
from stopcast.cli.display.monitor import RunMonitor, RunSnapshot
from stopcast.cli.display.progress import Progress
from stopcast.cli.lists import Lists
from stopcast.cli.options import OutputOptions
from stopcast.cli.running.steering import Steering
from stopcast.cli.user import User
from stopcast.i18n import Language, speaking
from stopcast.run import Run
from stopcast.sandbox import Emulator, Faults
from stopcast.sources.iterables import batches_of
from support.display import SNAPSHOT, options, shown
from support.processes import Shell, tasks, until, write_csv
from support.redis_server import free_port
from support.terminal import terminal
from support.virtual import Api, in_virtual_time, stopped, virtual_stopper

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
    assert "the shared quota cannot be used" in text


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


def test_with_the_json_log_nothing_is_drawn(shell: Shell, api: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(20))
    with terminal(shell, "run", name, "--endpoint", api.url, "--log-format", "json") as shown:
        assert shown.end() == 0
    assert b"\x1b" not in shown.raw
    assert all(json.loads(line) for line in shown.raw.splitlines())
