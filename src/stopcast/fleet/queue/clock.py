"""A clock for leases: it goes on while the machine sleeps, and no one can set it."""

from __future__ import annotations

import time
from typing import Final

_BOOTTIME: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def lease_clock() -> float:
    """Return seconds. Where there is no CLOCK_BOOTTIME (macOS), CLOCK_MONOTONIC, which goes on there as well."""
    return time.clock_gettime(_BOOTTIME)
