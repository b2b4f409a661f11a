"""What every connection of a simulated process has in common, whatever is at its other end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from simulation.loop import Group, SimulatedLoop, current_group


class MemoryTransport(asyncio.Transport):
    """One connection of the process that makes it. It takes bytes in ``write``, and ends in ``_end``."""

    def __init__(self, loop: SimulatedLoop, protocol: Any) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self._group: Group | None = current_group()
        self._closing = False

    def _in_process(self, act: Callable[..., object], *arguments: Any) -> None:
        context = None if self._group is None else self._group.context.copy()
        self._loop.call_soon(act, *arguments, context=context)

    def _end(self, error: Exception | None) -> None:
        raise NotImplementedError

    # What asyncio's clients call.

    def is_closing(self) -> bool:
        """Return whether it was closed."""
        return self._closing

    def close(self) -> None:
        """Close it."""
        self._end(None)

    def abort(self) -> None:
        """Close it."""
        self._end(None)

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 - there is no socket
        """Return the default."""
        return default

    def get_write_buffer_size(self) -> int:
        """Return 0: the network is fast."""
        return 0

    def pause_reading(self) -> None:
        """Do nothing: answers are short."""

    def resume_reading(self) -> None:
        """Do nothing: answers are short."""
