"""What the library logs: under ``stopcast``, with stable names, and with nothing that does not belong there."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys

import pytest

from stopcast import RetryPolicy, Stopper, Task, TokenBucket
from stopcast.events import ClockCorrected, QuotaFound, RetryPlanned
from stopcast.logs import log_event
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator, Faults

TASK, OTHER = Task("some-app", "secret-room", "secret-task"), Task("dead-app", "secret-room", "other-task")
QUICK = RetryPolicy(first_wait_seconds=0.002, longest_wait_seconds=0.02)


async def _work() -> None:
    faults = Faults({"internal": [TASK], "throttled": [TASK]})
    refused_apps = {"dead-app": "InvalidParameter.NotExistAppId"}
    async with (
        Emulator(clock_offset=3600, faults=faults, refused_apps=refused_apps) as emulator,
        Stopper(SANDBOX_CREDENTIALS, endpoint=emulator.url, retry=QUICK, limiter=TokenBucket(1000)) as stopper,
    ):
        async for _ in stopper.stop_all([TASK, OTHER]):
            pass


def _names(records: list[logging.LogRecord]) -> set[str]:
    return {record.__dict__["event"] for record in records if record.name == "stopcast"}


async def test_events_are_logged_by_their_names_at_their_levels(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "stopcast"):
        await _work()
    by_level = {level: [record for record in caplog.records if record.levelno == level] for level in (10, 20, 30)}
    assert _names(by_level[logging.WARNING]) == {"clock_corrected", "app_set_aside"}
    assert _names(by_level[logging.INFO]) == {"rate_changed", "retry_planned", "run_finished"}
    assert _names(by_level[logging.DEBUG]) == {"attempt_finished", "task_finished", "throttled"}
    finished = next(it for it in caplog.records if it.__dict__.get("event") == "task_finished")
    assert finished.__dict__["status"] in {"stopped", "failed", "set_aside"}
    assert finished.__dict__["room_id"] == "secret-room"
    assert finished.__dict__["attempts"] >= 1


async def test_rooms_and_tasks_are_named_only_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "stopcast"):
        await _work()
    logged = [record.__dict__ for record in caplog.records if record.name == "stopcast"]
    assert {"retry_planned", "clock_corrected", "app_set_aside"} <= {record["event"] for record in logged}
    assert "secret" not in repr(logged)


def test_a_text_of_the_server_cannot_forge_a_record(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "stopcast"):
        log_event(RetryPlanned(TASK, 1, "one\nCRITICAL:root:two", 0.5))
    (record,) = caplog.records
    assert record.getMessage() == r"attempt 1 failed: one\nCRITICAL:root:two; next attempt in 0.5 s"


async def test_nothing_logged_holds_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await _work()
    assert SANDBOX_CREDENTIALS.secret_key not in repr([record.__dict__ for record in caplog.records])


def test_a_program_that_configures_no_logging_gets_no_output() -> None:
    program = "import stopcast.stopper, logging; logging.getLogger('stopcast').warning('heard')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("", "")


async def test_an_observer_that_raises_cancelled_error_disturbs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    received: list[object] = []

    def cancelling(_: object) -> None:
        raise asyncio.CancelledError

    observers = [cancelling, received.append]
    async with (
        Emulator() as emulator,
        Stopper(SANDBOX_CREDENTIALS, endpoint=emulator.url, observers=observers) as stopper,
    ):
        outcomes = [outcome async for outcome in stopper.stop_all([TASK, OTHER])]
    assert [outcome.status for outcome in outcomes] == ["stopped", "stopped"]
    assert len(received) >= 4
    assert [record.__dict__["event"] for record in caplog.records].count("observer_failed") == 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (432_000.0, "+5 days 0 h;"),
        (-90_061.0, "-1 day 1 h;"),
        (-4_530.0, "-1 h 16 min;"),
        (31.6, "+32 s;"),
    ],
)
def test_the_log_shows_a_difference_of_clocks_as_a_person_reads_it(
    caplog: pytest.LogCaptureFixture, seconds: float, words: str
) -> None:
    with caplog.at_level(logging.INFO, "stopcast"):
        log_event(ClockCorrected(seconds))
    (record,) = caplog.records
    assert words in record.getMessage()
    assert vars(record)["offset_seconds"] == seconds


def test_the_log_shows_a_long_wait_in_hours(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "stopcast"):
        log_event(QuotaFound(7_500.0))
    assert caplog.messages == ["the shared quota is back after 2 h 05 min"]
