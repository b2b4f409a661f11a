"""What a signal does to the commands that make no calls: each ends soon, says so, and has the signal's exit status."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest

from support.processes import HANGS_AFTER_SECONDS, Shell, end_of

EACH = pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["INT", "TERM", "HUP"],
)


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(HANGS_AFTER_SECONDS)
        yield server


def address(server: socket.socket) -> str:
    return f"127.0.0.1:{server.getsockname()[1]}"


def interrupted(process: subprocess.Popen[bytes], number: signal.Signals, status: int) -> str:
    """Send the signal, and return standard error of the process, whose end is checked."""
    process.send_signal(number)
    return said_by(process, status)


def said_by(process: subprocess.Popen[bytes], status: int) -> str:
    ended = end_of(process)
    assert ended.status == status
    assert ended.without_traceback
    return ended.err


@EACH
@pytest.mark.parametrize("arguments", [("summary",), ("summary", "--list", "failed"), ("run", "--dry-run")], ids=str)
def test_a_signal_ends_the_reading_of_a_file(
    shell: Shell, arguments: tuple[str, ...], number: signal.Signals, status: int
) -> None:
    os.mkfifo(shell / "fifo")
    process = shell.start(*arguments, "fifo")
    # It opens as soon as the command has opened the other end.
    with (shell / "fifo").open("wb"):
        process.send_signal(number)
    # The end of the file wakes the command where the signal came just before it began to wait for data.
    assert said_by(process, status) == f"stopcast: ended by {number.name} before its work was done.\n"


@EACH
@pytest.mark.parametrize(
    "arguments",
    [
        ("status", "--queue", "redis://{}/0/q"),
        ("status", "--quota", "redis://{}/0"),
        ("configure", "--queue", "redis://{}/0/q", "--max-deliveries", "3"),
        ("doctor", "--endpoint", "http://{}"),
    ],
    ids=str,
)
def test_a_signal_ends_the_waiting_for_a_server(
    shell: Shell, silent: socket.socket, arguments: tuple[str, ...], number: signal.Signals, status: int
) -> None:
    process = shell.start(*(argument.format(address(silent)) for argument in arguments))
    connection, _ = silent.accept()
    with connection:
        assert f"ended by {number.name} before its work was done" in interrupted(process, number, status)


@EACH
def test_a_signal_ends_the_way_back_of_dead_letters_which_says_what_to_do(
    shell: Shell, silent: socket.socket, number: signal.Signals, status: int
) -> None:
    process = shell.start("enqueue", "--dead-letters", "--queue", f"redis://{address(silent)}/0/q")
    connection, _ = silent.accept()
    with connection:
        said = interrupted(process, number, status)
    assert "Some dead letters may be back in the queue. For the others run the same command again" in said


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_a_watch_and_control_c_is_its_usual_end(
    shell: Shell, redis_url: str, number: signal.Signals, status: int
) -> None:
    process = shell.start("status", "--watch", "--json", "--queue", f"{redis_url}/q")
    assert process.stdout is not None
    assert process.stdout.readline()
    assert interrupted(process, number, status) == ""


def test_a_watch_ends_when_nothing_reads_it(shell: Shell, redis_url: str) -> None:
    process = shell.start("status", "--watch", "--json", "--queue", f"{redis_url}/q")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(HANGS_AFTER_SECONDS) == 0
