"""What a simulated process takes from its machine: clocks, threads, signals, variables and standard error."""

from __future__ import annotations

import io
import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest.mock import patch

from simulation.api import account_key
from simulation.fleet import Fleet
from simulation.loop import InlineCalls, InlineThread, SimulatedLoop, current_group
from simulation.world import World
from stopcast.fleet.quota import shared_quota
from stopcast.fleet.quota.shared_quota import SharedQuota

KEY: Final = "AKSIMULATED"
SECRET: Final = "c2VjcmV0LW9mLXRoZS1zaW11bGF0b3I"


@contextmanager
def simulated(loop: SimulatedLoop, world: World, messages: io.StringIO, fleet: Fleet | None) -> Iterator[None]:
    """Replace what a process takes from its machine."""
    random.seed(world.seed)
    environment = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG"}}
    environment |= {"VOLCENGINE_ACCESS_KEY": KEY, "VOLCENGINE_SECRET_KEY": SECRET, "HOME": "/nonexistent"}
    for number in range(world.accounts):
        environment |= {f"TEAM{number}_ACCESS_KEY": account_key(number), f"TEAM{number}_SECRET_KEY": SECRET}
    with ExitStack() as stack:
        for target, name, value in (
            (time, "time", loop.wall_time),
            (time, "time_ns", lambda: int(loop.wall_time() * 1e9)),
            (time, "monotonic", loop.time),
            (os, "getpid", lambda: 1),
            (threading, "Thread", InlineThread),
            (signal, "signal", _set_handler),
            (signal, "getsignal", _handler_of),
            (signal, "pthread_sigmask", lambda *_: set()),
            (sys.modules["stopcast.report.writer"], "BlockingCalls", InlineCalls),
            (sys.modules["stopcast.report.blocking"], "BlockingCalls", InlineCalls),
            (sys, "stderr", messages),
            (shared_quota, "SharedQuota", SharedQuota if fleet is None else fleet.of_command),
            (logging, "_startTime", 0.0),
        ):
            stack.enter_context(patch.object(target, name, value))
        stack.enter_context(patch.dict(os.environ, environment, clear=True))
        yield


def _set_handler(number: int, handler: Any) -> Any:
    group = current_group()
    assert group is not None
    before = group.handlers.get(number, signal.SIG_DFL)
    group.handlers[number] = handler
    return before


def _handler_of(number: int) -> Any:
    group = current_group()
    assert group is not None
    return group.handlers.get(number, signal.SIG_DFL)
