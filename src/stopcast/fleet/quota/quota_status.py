"""The state of shared quotas, read without a change to it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from stopcast.errors import ConfigurationError, QuotaLostError
from stopcast.fleet.connection import NO_CLUSTER, connected, is_cluster, refuses_access, without_secrets, words_of
from stopcast.fleet.quota.redis_ledger import INDEX_KEY, ledger_key, quota_name
from stopcast.limiters.pacer import recovered_rate

if TYPE_CHECKING:
    from redis.asyncio import Redis

_TIMEOUT_SECONDS: Final = 5.0
_FIELDS: Final = (
    "full",
    "rate",
    "rate_at",
    "seen",
    "held",
    "second",
    "count",
    "last_count",
    "worst_count",
    "permits",
    "throttled",
    "max_per_second",
    "arrival_jitter",
)


@dataclass(frozen=True, slots=True)
class QuotaStatus:
    """The state of an account's quota.

    Attributes:
        account: its name.
        action: of the API.
        rate: calls a second that it may make now, None where no process asked within the last day.
        full_rate: the same while nothing is throttled.
        last_second: permits that lay in the last whole second.
        worst_second: the most in any second of Redis' clock, since the account was first asked for.
        permits: all of them.
        throttled: throttled answers.
        held_seconds: for which no process may call yet.
        asked_seconds_ago: when a process last asked for permits.
        max_per_second: the cap of all processes.
        arrival_jitter: seconds by which the way to the server may vary, for all processes.
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
    max_per_second: float | None = None
    arrival_jitter: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as an object for JSON."""
        return asdict(self)


async def quota_status(url: str, account: str, action: str = "StopWebcast") -> QuotaStatus:
    """Return the state of one account's quota.

    Raises:
        ConfigurationError: the URL is not the address of a Redis, or Redis refuses the login.
        QuotaLostError: Redis cannot be asked.
    """
    (status,) = await _read(url, [(quota_name(account), action)])
    return status


async def quota_statuses(url: str) -> list[QuotaStatus]:
    """Return the state of every quota that was used within the last day, by account and action.

    Raises:
        ConfigurationError: the URL is not the address of a Redis, or Redis refuses the login.
        QuotaLostError: Redis cannot be asked.
    """
    statuses = await _read(url, None)
    # The index may know of accounts whose state is gone by now.
    return [status for status in statuses if status.rate is not None]


async def _read(url: str, quotas: list[tuple[str, str]] | None) -> list[QuotaStatus]:
    async with connected(url, timeout_seconds=_TIMEOUT_SECONDS) as client:
        from redis.exceptions import RedisError  # noqa: PLC0415 - an extra

        try:
            if quotas is None:
                quotas = await _indexed(client)
            seconds, microseconds = await client.time()
            now = seconds + microseconds / 1e6
            return [
                _status(account, action, await client.hmget(ledger_key(account, action), list(_FIELDS)), now)
                for account, action in quotas
            ]
        except (RedisError, OSError) as error:
            if is_cluster(error):
                raise ConfigurationError(NO_CLUSTER) from None
            where, reason = without_secrets(url), words_of(error)
            if refuses_access(error):
                raise ConfigurationError(f"Redis refuses access to the shared quota at {where}: {reason}") from None
            raise QuotaLostError(f"the shared quota at {where}: {reason}") from None


async def _indexed(client: Redis) -> list[tuple[str, str]]:
    fields = [field.decode("utf-8", "replace") for field in await client.hkeys(INDEX_KEY) if isinstance(field, bytes)]
    return sorted((account, action) for action, _, account in (field.partition(":") for field in fields))


def _status(account: str, action: str, values: Sequence[bytes | str | None], now: float) -> QuotaStatus:
    kept = _numbers(dict(zip(_FIELDS, values, strict=True)))
    if not kept:
        return QuotaStatus(account, action)
    full, asked_ago = kept.get("full", 0.0), max(0.0, now - kept.get("rate_at", 0.0) / 1e6)
    # As in reserve.lua: what was kept by a clock that has been set back since.
    set_back = max(0.0, kept.get("seen", 0.0) / 1e6 - now)
    rate = recovered_rate(kept.get("rate", full), full_rate=full, seconds=asked_ago)
    counted = {
        kept.get("second", 0.0): kept.get("count", 0.0),
        kept.get("second", 0.0) - 1: kept.get("last_count", 0.0),
    }
    return QuotaStatus(
        account,
        action,
        rate=round(rate, 1),
        full_rate=round(full, 1),
        last_second=int(counted.get(float(int(now) - 1), 0.0)),
        worst_second=int(kept.get("worst_count", 0.0)),
        permits=int(kept.get("permits", 0.0)),
        throttled=int(kept.get("throttled", 0.0)),
        held_seconds=round(max(0.0, kept.get("held", 0.0) / 1e6 - set_back - now), 1),
        asked_seconds_ago=round(asked_ago, 1),
        max_per_second=kept.get("max_per_second"),
        arrival_jitter=None if "arrival_jitter" not in kept else kept["arrival_jitter"] / 1e6,
    )


def _numbers(values: Mapping[str, bytes | str | None]) -> dict[str, float]:
    """Return the values that are numbers; the others are ignored, as by the script."""
    numbers: dict[str, float] = {}
    for field, value in values.items():
        with suppress(ValueError):
            if value is not None and math.isfinite(number := float(value)):
                numbers[field] = number
    return numbers
