"""The deadline of --until: which moment it means, and that no call is in flight then."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from stopcast import TimeIsUpError
from stopcast.cli.options.guards import seconds_until
from stopcast.errors import ConfigurationError
from stopcast.run import Run
from stopcast.sandbox import Emulator
from stopcast.sources.iterables import batches_of
from support.processes import Shell, lines_by_task, read_report, tasks, write_csv
from support.virtual import Api, in_virtual_time, stopped, virtual_stopper

At = tuple[str, ...]
REPORT = "stopcast-report.jsonl"
BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 22, 12, 0, 30, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90m", 5400),
        ("2h", 7200),
        ("1h30m", 5400),
        ("45s", 45),
        (" 1H 1S ".replace(" ", ""), 3601),
        ("12:01", 30),
        ("6:00", 18 * 3600 - 30),
        ("12:00", 24 * 3600 - 30),
    ],
)
def test_until_takes_the_next_time_of_day_or_a_duration_from_now(text: str, seconds: float) -> None:
    assert seconds_until(text, NOON) == seconds


def test_until_counts_the_hour_that_the_clocks_are_put_back() -> None:
    assert seconds_until("06:00", datetime(2026, 10, 24, 22, tzinfo=BERLIN)) == 9 * 3600


@pytest.mark.parametrize(
    "text", ["", "0m", "-1h", "24:00", "12:60", "1:5", "noon", "10", "1d", "\u0661h", "nan", "9" * 5000 + "h"]
)
def test_until_refuses_any_other_text(text: str) -> None:
    with pytest.raises(ConfigurationError, match="06:00"):
        seconds_until(text, NOON)


@pytest.mark.parametrize("text", ["8761h", f"{10**12}m", f"{10**30}s"])
def test_until_refuses_a_time_beyond_a_year(text: str) -> None:
    with pytest.raises(ConfigurationError, match="too long"):
        seconds_until(text, NOON)


def test_when_time_is_up_no_call_is_in_flight_and_the_remaining_rows_are_counted(shell: Shell, api: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(900))
    options = ("--endpoint", api.url, "--max-per-second", "50", "--timeout", "1", "--until", "3s")
    ended = shell.run("run", name, *options)
    done = len(read_report(shell / REPORT))
    assert ended.status == 1
    assert ended.without_traceback
    assert 0 < api.calls == done < 900
    assert f"of the list is left ({900 - done} rows)" in ended.err
    assert "stopcast run --resume" in ended.err
    assert shell.run("run", name, "--endpoint", api.url, "--max-per-second", "100000", "--resume").status == 0
    assert lines_by_task(shell / REPORT) == dict.fromkeys(tasks(900), 1)


def test_a_list_that_ends_before_the_time_is_up_has_status_0(shell: Shell, at: At) -> None:
    assert shell.run("run", write_csv(shell / "list.csv", tasks(3)), *at, "--until", "1h").status == 0


def test_until_is_refused_if_it_leaves_no_time_for_a_call(shell: Shell) -> None:
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(3)), "--sandbox", "--until", "10s")
    assert ended.status == 2
    assert "--timeout" in ended.err
    assert not (shell / REPORT).exists()


def test_the_last_call_begins_one_timeout_before_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy disk virtual seconds pass within one sync, which then counts as stuck.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(os, "fdatasync", lambda _: None)
    api = Api(stopped, latency_seconds=3.0)

    async def tick() -> None:
        # A virtual clock jumps to the next timer while a thread works: this keeps that timer near.
        while True:
            await asyncio.sleep(0.01)

    async def main() -> None:
        async with virtual_stopper(api, timeout_seconds=10) as stopper:
            # Lines of a file are written at once. Those of a pipe or a device go through a thread, and the calls wait.
            run = Run(stopper, tmp_path / "report.jsonl", ends_at=60.0)
            ticking = asyncio.create_task(tick())
            with pytest.raises(TimeIsUpError):
                await run.stop_lists(batches_of(tasks(20_000)))
            ticking.cancel()
            assert run.finished == len(api.sent)

    in_virtual_time(main)
    assert 49 <= max(moment for moment, _ in api.sent) <= 50
