"""What another machine's clock shows, read from answers that take their time."""

from __future__ import annotations

import math
from typing import Final

#: Two clocks that are being steered gain on one another by up to this.
_DRIFT: Final = 0.001
#: An answer that seems to come back in no time shows that the local clock is coarse, not that the way is short.
_LEAST_ERROR_SECONDS: Final = 0.001


class RemoteClock:
    """Translates moments of a remote clock into those of the local, monotonic one.

    An answer shows what the remote clock was at some moment between its request and its arrival. The quickest answer
    is the most exact, until drift has made it worse than a later one.
    """

    __slots__ = ("_ahead", "_error", "_read_at")

    def __init__(self) -> None:
        self._ahead = 0.0
        self._error = math.inf
        self._read_at = 0.0

    def read(self, remote: float, *, asked_at: float, answered_at: float) -> bool:
        """Take an answer, and return whether it agrees with those before it.

        An answer that does not agree means that a clock was set or stood still.
        """
        ahead, error = remote - (asked_at + answered_at) / 2, (answered_at - asked_at) / 2
        known_within = self.known_within(answered_at)
        agrees = abs(ahead - self._ahead) <= known_within + error + _LEAST_ERROR_SECONDS
        if error <= known_within or not agrees:
            self._ahead, self._error, self._read_at = ahead, error, answered_at
        return agrees

    def known_within(self, now: float) -> float:
        """Return the seconds by which a translated moment may be wrong."""
        return self._error + _DRIFT * (now - self._read_at)

    def local(self, remote: float) -> float:
        """Return the local moment of a remote one."""
        return remote - self._ahead
