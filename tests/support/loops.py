"""Event loops that a test runs on: asyncio's own, and uvloop's, whose clock and timers have whole milliseconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

T = TypeVar("T")


def _uvloop() -> asyncio.AbstractEventLoop:
    uvloop = pytest.importorskip("uvloop", reason="uvloop cannot be installed here, so its loop is not tested")
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop, "uvloop": _uvloop}

on_both_loops = pytest.mark.parametrize("loop", LOOPS)


def run_on(loop: str, main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the loop of this name, and return what it returns."""
    try:
        runner = asyncio.Runner(loop_factory=LOOPS[loop])
        runner.get_loop()
    except BaseException:
        main.close()
        raise
    with runner:
        return runner.run(main)
