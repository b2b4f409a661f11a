"""What the engine tells its observers while it works. Frozen values; the outcome of a task is not among them."""

from __future__ import annotations

from dataclasses import dataclass

from stopcast.task import Task


@dataclass(frozen=True, slots=True)
class RetryPlanned:
    """An attempt failed, and another one follows after ``wait_seconds``."""

    task: Task
    attempt: int
    reason: str
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class Throttled:
    """The API said that the account calls too often; ``retry_after`` is what it asked for, in seconds."""

    retry_after: float


@dataclass(frozen=True, slots=True)
class AppSetAside:
    """The API refused an AppId for good; its tasks that were not sent yet are not sent."""

    app_id: str
    code: str | None


@dataclass(frozen=True, slots=True)
class ClockCorrected:
    """The API refused our time; from now on requests are dated ``offset_seconds`` after the local clock."""

    offset_seconds: float


Event = RetryPlanned | Throttled | AppSetAside | ClockCorrected
