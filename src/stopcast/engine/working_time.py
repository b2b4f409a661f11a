"""The loop's time, and how much of it no call could be made in: while calls are paused, or the shared quota is away."""

from __future__ import annotations

import asyncio


class WorkingTime:
    """Counts the seconds in which no call can be made. They do not count against a task's time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._reasons: set[str] = set()
        self._paused_at = 0.0
        self._paused_before = 0.0

    @property
    def paused_seconds(self) -> float:
        """Seconds in which no call could be made, up to now."""
        return self._paused_before + (self.now() - self._paused_at if self._reasons else 0.0)

    def pause(self, reason: str) -> None:
        """Count from now on, until ``resume`` with the same reason."""
        if not self._reasons:
            self._paused_at = self.now()
        self._reasons.add(reason)

    def resume(self, reason: str) -> None:
        """End one reason."""
        if reason in self._reasons:
            self._reasons.discard(reason)
            if not self._reasons:
                self._paused_before += self.now() - self._paused_at
