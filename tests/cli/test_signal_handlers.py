"""The block in which a command's signals are handled: which one is the first, and what each of them ends."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress

import pytest

from stopcast.background import finish_task
from stopcast.cli.signals import Signals
from support.command import keeping_signals
from support.virtual import in_virtual_time


def test_the_handlers_are_restored_after_the_block() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Signals():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


async def test_a_signal_before_a_run_ends_the_run_where_the_cancellation_was_swallowed() -> None:
    received: list[tuple[int, bool]] = []
    with keeping_signals(), Signals() as signals:
        signals.cancel_task()
        signal.raise_signal(signal.SIGTERM)
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        signals.hand_over(lambda number, first: received.append((number, first)), lambda _: None)
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0)
    assert received == [(signal.SIGTERM, True), (signal.SIGINT, False)]


def test_a_signal_after_the_block_is_ignored_if_one_came_within_it() -> None:
    with keeping_signals():
        with Signals() as signals:
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert signals.number == signal.SIGTERM


def test_a_signal_before_the_event_loop_starts_cancels_the_first_task() -> None:
    async def main(signals: Signals) -> None:
        signals.cancel_task()
        await asyncio.Event().wait()

    with keeping_signals(), Signals() as signals:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(main(signals))
    assert signals.number == signal.SIGTERM


def test_the_second_signal_is_not_the_first() -> None:
    received: list[tuple[int, bool]] = []

    async def main(signals: Signals) -> None:
        signals.cancel_task()
        signals.end = lambda number, first: received.append((number, first))
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0)

    with keeping_signals(), Signals() as signals:
        asyncio.run(main(signals))
    assert received == [(signal.SIGTERM, True), (signal.SIGINT, False)]


@pytest.mark.parametrize(
    ("before", "during", "seconds"),
    [(2, 0, 2.0), (1, 1, 2.0), (0, 2, 2.0), (1, 0, 3.0), (0, 1, 3.0), (0, 0, 10.0)],
    ids=["two before", "one before", "two during", "the first before", "the first during", "none"],
)
def test_the_closing_takes_two_seconds_after_the_second_signal_or_the_grace(
    before: int, during: int, seconds: float
) -> None:
    async def main() -> float:
        loop, signals = asyncio.get_running_loop(), Signals()
        with keeping_signals(), signals:
            signals.cancel_task()
            signals.hand_over(lambda _number, _first: None, lambda _number: None)
            raise_signals(before)
            await asyncio.sleep(0)
            began = loop.time()
            signals.shorten_closing(grace_seconds=3.0)
            raise_signals(during)
            with suppress(asyncio.CancelledError):
                await finish_task(asyncio.create_task(asyncio.sleep(10)), within_seconds=10.0)
            return loop.time() - began

    assert in_virtual_time(main) == pytest.approx(seconds, abs=0.001)


def test_a_signal_cancels_nothing_once_everything_is_closed() -> None:
    async def main() -> None:
        with keeping_signals(), Signals() as signals:
            signals.cancel_task()
            signals.hand_over(lambda _number, _first: None, lambda _number: None)
            raise_signals(1)
            await asyncio.sleep(0)
            signals.shorten_closing(grace_seconds=3.0)
            signals.closed()
            raise_signals(1)
            await asyncio.sleep(10)

    in_virtual_time(main)


def raise_signals(number: int) -> None:
    for _ in range(number):
        signal.raise_signal(signal.SIGTERM)
