"""The cap where it counts: by the moments at which the kernel of the server's side received each call."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import endless_client
from support.loops import on_both_loops
from support.processes import until
from support.stamping_server import StampingServer, stamping_server
from support.virtual import most_within

CAP = 150


@contextmanager
def client(server: StampingServer, loop: str, *disturbances: str) -> Iterator[subprocess.Popen[bytes]]:
    """Let a process of its own make calls while the block lasts, which begins when calls arrive."""
    pytest.importorskip(loop)
    command = [sys.executable, endless_client.__file__, server.url, loop, *disturbances]
    paths = [str(Path(endless_client.__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    before = len(server.stamps)
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}) as process:
        try:
            until(lambda: len(server.stamps) > before)
            yield process
        finally:
            process.kill()


def let_pass(server: StampingServer, seconds: float) -> None:
    """Return when this time has passed at the server since now, by its last call, with half the calls of the cap.

    A busy machine takes longer for them.
    """
    began, calls = time.time(), len(server.stamps) + seconds * CAP / 2
    until(lambda: server.stamps[-1] >= began + seconds and len(server.stamps) >= calls)


def assert_cap_holds(server: StampingServer) -> None:
    stamps = sorted(server.stamps)
    assert most_within(stamps) <= CAP
    assert len(stamps) > CAP


@on_both_loops
def test_a_loop_that_is_blocked_and_steered_never_sends_more_than_the_cap(loop: str) -> None:
    with stamping_server() as server:
        with client(server, loop, "blocked", "steered"):
            let_pass(server, 5.0)
        assert_cap_holds(server)


@on_both_loops
def test_a_process_that_is_stopped_and_continued_never_sends_more_than_the_cap(loop: str) -> None:
    with stamping_server() as server:
        with client(server, loop) as process:
            for seconds in (0.3, 0.02, 1.2):
                let_pass(server, 0.4)
                process.send_signal(signal.SIGSTOP)
                time.sleep(seconds)
                process.send_signal(signal.SIGCONT)
            let_pass(server, 1.2)
        assert_cap_holds(server)


@on_both_loops
def test_connections_that_die_never_let_more_than_the_cap_through(loop: str) -> None:
    with stamping_server(hangs_up_after=3) as server:
        with client(server, loop):
            let_pass(server, 2.5)
        assert_cap_holds(server)


@on_both_loops
def test_processes_one_after_the_other_never_send_more_than_the_cap(loop: str) -> None:
    with stamping_server() as server:
        for _ in range(3):
            with client(server, loop):
                let_pass(server, 0.8)
        assert_cap_holds(server)


@on_both_loops
def test_processes_that_share_a_quota_never_send_more_than_the_cap_together(loop: str, redis_url: str) -> None:
    with stamping_server() as server:
        with client(server, loop, redis_url, "blocked"), client(server, loop, redis_url) as process:
            for seconds in (0.3, 1.2):
                let_pass(server, 0.5)
                process.send_signal(signal.SIGSTOP)
                time.sleep(seconds)
                process.send_signal(signal.SIGCONT)
            let_pass(server, 1.2)
        assert_cap_holds(server)
