"""The states of a Stopper, a Verifier or a Router."""

from __future__ import annotations

from enum import StrEnum


class StopperState(StrEnum):
    """What a Stopper, a Verifier or a Router is doing. The best state comes first."""

    RUNNING = "running"
    """Calls are made."""
    ON_TRIAL = "on_trial"
    """The key was refused for good; one call tries it again, and the others wait for its answer."""
    PAUSED = "paused"
    """No call is made until ``resume``."""
    DRAINING = "draining"
    """No further call is made, because that was asked for. Calls in flight finish."""
    ENDED = "ended"
    """Calls have ended for good; ``error`` says why."""
    CLOSED = "closed"
    """Outside the ``async with`` block."""
