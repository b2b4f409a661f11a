"""How a shared quota stands, read without touching it."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final

from stopcast.errors import QuotaLostError
from stopcast.fleet.connection import connected, without_secrets
from stopcast.fleet.quota.redis_ledger import ledger_key
from stopcast.limiters.throttling import FULL_RATE_AFTER_SECONDS

_TIMEOUT_SECONDS: Final = 5.0
_FIELDS: Final = (
    "full",
    "rate",
    "rate_at",
    "held",
    "second",
    "count",
    "last_count",
    "worst_count",
    "permits",
    "throttled",
)


@dataclass(frozen=True, slots=True)
class QuotaStatus:
    """How the quota of an account stands.

    Attributes:
        account: its name.
        action: of the API.
        rate: calls a second that it may make now, None where nobody asked within the last day.
        full_rate: the same while nothing is throttled.
        last_second: permits that lay in the last whole second.
        worst_second: the most in any second of Redis' clock, since the account was first asked for.
        permits: all of them.
        throttled: answers.
        held_seconds: for which nobody may call yet.
        asked_seconds_ago: when somebody last asked for permits.
    """

    account: str
    action: str
    rate: float | None = None
    full_rate: float | None = None
    last_second: int = 0
    worst_second: int = 0
    permits: int = 0
    throttled: int = 0
    held_seconds: float = 0.0
    asked_seconds_ago: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as an object for JSON."""
        return asdict(self)


async def quota_status(url: str, account: str, action: str = "StopWebcast") -> QuotaStatus:
    """Return how the quota of an account stands.

    Raises:
        ConfigurationError: no address of a Redis.
        QuotaLostError: it cannot be asked.
    """
    async with connected(url, timeout_seconds=_TIMEOUT_SECONDS) as client:
        from redis.exceptions import RedisError  # noqa: PLC0415 - an extra

        try:
            seconds, microseconds = await client.time()
            values = await client.hmget(ledger_key(account, action), list(_FIELDS))
        except (RedisError, OSError) as error:
            raise QuotaLostError(
                f"the shared quota at {without_secrets(url)}: {error or type(error).__name__}"
            ) from None
    kept: dict[str, float] = {}
    for field, value in zip(_FIELDS, values, strict=True):
        # What cannot be read is as if it were not there, as for the script.
        with suppress(ValueError):
            if value is not None and math.isfinite(number := float(value)):
                kept[field] = number
    if not kept:
        return QuotaStatus(account, action)
    now = seconds + microseconds / 1e6
    full, asked_ago = kept.get("full", 0.0), max(0.0, now - kept.get("rate_at", 0.0) / 1e6)
    # As the script has it.
    rate = min(full, kept.get("rate", full) + full / FULL_RATE_AFTER_SECONDS * asked_ago)
    counted = {
        kept.get("second", 0.0): kept.get("count", 0.0),
        kept.get("second", 0.0) - 1: kept.get("last_count", 0.0),
    }
    return QuotaStatus(
        account,
        action,
        rate=round(rate, 1),
        full_rate=round(full, 1),
        last_second=int(counted.get(float(int(seconds) - 1), 0.0)),
        worst_second=int(kept.get("worst_count", 0.0)),
        permits=int(kept.get("permits", 0.0)),
        throttled=int(kept.get("throttled", 0.0)),
        held_seconds=round(max(0.0, kept.get("held", 0.0) / 1e6 - now), 1),
        asked_seconds_ago=round(asked_ago, 1),
    )
