"""Waiting for what happens on the event loop."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from stopcast.events import Event

T = TypeVar("T")


async def event_of(events: list[Event], kind: type[T]) -> T:
    """Return the first event of this class, as soon as there is one."""
    async with asyncio.timeout(30):
        while not (found := [event for event in events if isinstance(event, kind)]):
            await asyncio.sleep(0.005)
    return found[0]
