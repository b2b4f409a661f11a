"""No cap: for a loopback server, and for measuring."""

from __future__ import annotations

from stopcast.ports import Limiter


class Unlimited(Limiter):
    """Lets every call go at once."""

    async def acquire(self) -> None:
        """Return at once."""

    def hold(self, seconds: float = 0.0) -> None:
        """Do nothing: there is no account behind it whose quota could be short."""
