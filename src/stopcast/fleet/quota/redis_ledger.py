"""The quota that the processes of an account share: one hash in Redis, and one script that changes it."""

from __future__ import annotations

import math
import unicodedata
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, Self

from stopcast.background import cancellable
from stopcast.errors import ConfigurationError, QuotaLostError
from stopcast.fleet.connection import NO_CLUSTER, connected, is_cluster, refuses_access, without_secrets, words_of
from stopcast.fleet.quota.slots import QuotaSettings

if TYPE_CHECKING:
    from redis.asyncio import Redis

_TIMEOUT_SECONDS: Final = 1.0
_MICROSECONDS: Final = 1e6
#: Holds a field for each account that was used within the last day.
INDEX_KEY: Final = "stopcast:quota:2"


def quota_name(account: object) -> str:
    """Return the account's name in the one form that all processes use.

    Raises:
        ConfigurationError: another process could mean the same account by a name that looks the same.
    """
    if not isinstance(account, str) or not account:
        raise ConfigurationError("the account of a shared quota needs a name")
    if account != account.strip() or not account.isprintable():
        raise ConfigurationError(
            f"the account of a shared quota has a name with white space around it, or with a character that cannot "
            f"be seen: {account!r:.80}"
        )
    return unicodedata.normalize("NFC", account)


def ledger_key(account: str, action: str) -> str:
    """Return the key under which an account's quota for one action of the API is kept."""
    return f"{INDEX_KEY}:{account}:{action}"


def ledger_keys(account: str, action: str) -> tuple[str, str, str]:
    """Return the keys that the script works on: the account's, the one that version 0.1 used for it, and the index."""
    return ledger_key(account, action), f"stopcast:quota:{account}:{action}", INDEX_KEY


#: What the script answers instead of a lease, and why nothing can be leased.
_REFUSALS: Final = {
    -1: (
        "a process of stopcast 0.1 uses this account's quota, and the two versions do not see each other's calls. "
        "Update or stop it; the quota can be used a minute after its last call"
    ),
    -2: (
        "a process of another version of stopcast uses this account's quota, and the two versions do not see each "
        "other's calls. Use one version; the quota can be used a minute after the other's last call"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRequest:
    """What the script is asked.

    Attributes:
        settings: those of the process.
        permits: slots to reserve at most.
        throttled: throttled answers since the last request.
        hold_seconds: for which no process may call.
        reach_seconds: how long the answer will be on its way; no slot is earlier than that.
        verify: whether the server is to check that it is the one that gave the last lease.
        pause: whether nothing may be leased for a second.
        change: whether the settings are to be changed for all.
    """

    settings: QuotaSettings
    permits: int = 0
    throttled: int = 0
    hold_seconds: float = 0.0
    reach_seconds: float = 0.0
    verify: bool = False
    pause: bool = False
    change: bool = False

    def arguments(self, account: str, action: str) -> list[float | str]:
        """Return the script's arguments."""
        return [
            self.permits,
            self.settings.full_rate,
            int(self.verify),
            int(self.pause),
            self.throttled,
            round(self.hold_seconds * _MICROSECONDS),
            round(self.reach_seconds * _MICROSECONDS),
            self.settings.max_per_second,
            round(self.settings.arrival_jitter * _MICROSECONDS),
            int(self.change),
            # The field of the index. No action has a colon in it.
            f"{action}:{account}",
        ]


@dataclass(frozen=True, slots=True)
class Lease:
    """Slots that no other process has.

    Attributes:
        permits: how many.
        now: what Redis' clock showed, in Unix time.
        first_at: the first slot, by that clock.
        slot_seconds: from one slot to the next.
        wait_seconds: before it makes sense to ask again, where there were none.
        rate: calls a second of the whole account, now.
        settings: what Redis keeps. A process with other settings gets no slots.
        made: the number of the account's state. Another number means that Redis has lost the state before.
    """

    permits: int
    now: float
    first_at: float
    slot_seconds: float
    wait_seconds: float
    rate: float
    settings: QuotaSettings
    made: int

    @classmethod
    def of(cls, answer: Any, *, most: int, where: str) -> Self:
        """Read the script's answer to a request for ``most`` permits.

        Raises:
            QuotaLostError: the script refuses to lease to this version of stopcast, or this is no answer of the script.
        """
        try:
            if (refusal := _REFUSALS.get(int(answer[0]))) is not None:
                raise QuotaLostError(f"the shared quota at {where}: {refusal}", refused=True)
            return cls._read([float(value) for value in answer], most)
        except (ConfigurationError, IndexError, OverflowError, TypeError, ValueError) as error:
            # A proxy on the way, or another program's data. Calls wait, as while Redis is away.
            raise QuotaLostError(f"the shared quota at {where}: an answer that is not the script's") from error

    @classmethod
    def _read(cls, values: list[float], most: int) -> Self:
        permits, now, first_at, slot, wait, rate, max_per_second, jitter, made = values
        if not (all(map(math.isfinite, values)) and 0 <= permits <= most and slot > 0):
            raise ValueError
        return cls(
            int(permits),
            now / _MICROSECONDS,
            first_at / _MICROSECONDS,
            slot / _MICROSECONDS,
            wait / _MICROSECONDS,
            rate / 1000,
            QuotaSettings(max_per_second=max_per_second, arrival_jitter=jitter / _MICROSECONDS),
            int(made),
        )


class RedisLedger:
    """The quota of one account, in Redis. An async context manager.

    Attributes:
        unverified: whether the server may be another one than before, or may have lost something: a new connection, or
            the server does not know the script. A request with ``verify`` has to come first, and what was leased
            meanwhile is not to be used.
        where: the address, without secrets.
    """

    def __init__(self, url: str, account: str, action: str = "StopWebcast") -> None:
        self._url = url
        self._account = account
        self._action = action
        self._keys = ledger_keys(account, action)
        self._script = files("stopcast.fleet.quota").joinpath("reserve.lua").read_text("utf-8")
        self._hash = ""
        self._stack = AsyncExitStack()
        self._client: Redis
        self.unverified = True
        self.where = without_secrets(url)

    async def __aenter__(self) -> Self:
        # What Redis knows a script by.
        self._hash = sha1(self._script.encode(), usedforsecurity=False).hexdigest()
        self._client = await self._stack.enter_async_context(
            connected(self._url, timeout_seconds=_TIMEOUT_SECONDS, on_connect=self._on_connect)
        )
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    async def _on_connect(self, connection: Any) -> None:
        self.unverified = True
        await connection.on_connect()

    async def ask(self, request: LedgerRequest) -> Lease | None:
        """Run the script. None means that the server does not know it, and has to be verified.

        Raises:
            QuotaLostError: no answer, or a refusal.
        """
        from redis.exceptions import NoScriptError, RedisError  # noqa: PLC0415

        # Where it counts that the script is there, it is sent whole.
        whole = request.verify or request.change
        if request.verify:
            self.unverified = False
        command = ("EVAL", self._script) if whole else ("EVALSHA", self._hash)
        arguments = request.arguments(self._account, self._action)
        try:
            answer = await self._client.execute_command(*command, len(self._keys), *self._keys, *arguments)  # type: ignore[no-untyped-call]
        except NoScriptError:
            self.unverified = True
            return None
        except (RedisError, OSError) as error:
            # A replica, a server that is loading its data, a full one: in each case another may have taken over.
            self.unverified = True
            with suppress(RedisError, OSError):
                await cancellable(self._client.connection_pool.disconnect(), name="disconnecting from Redis")
            cluster = is_cluster(error)
            reason = NO_CLUSTER if cluster else words_of(error)
            if refuses_access(error):
                text = f"Redis refuses access to the shared quota at {self.where}: {reason}"
                raise QuotaLostError(text, refused=True) from error
            raise QuotaLostError(f"the shared quota at {self.where}: {reason}", refused=cluster) from error
        return Lease.of(answer, most=request.permits, where=self.where)
