"""Where the processes of an account find out about one another: one hash in Redis, and one script that works on it."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from importlib.resources import files
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from stopcast.errors import QuotaLostError
from stopcast.fleet.connection import connected, without_secrets

if TYPE_CHECKING:
    from redis.asyncio import Redis

_TIMEOUT_SECONDS: Final = 1.0
_MICROSECONDS: Final = 1e6


def ledger_key(account: str, action: str) -> str:
    """Return the key under which an account's quota for one action of the API is kept."""
    return f"stopcast:quota:{account}:{action}"


class Lease(NamedTuple):
    """Slots that nobody else has.

    Attributes:
        permits: how many.
        now: what Redis' clock showed, in Unix time.
        first_at: the first slot by that clock.
        slot_seconds: from one to the next.
        wait_seconds: before it makes sense to ask again, where there were none.
        rate: calls a second of the whole account, now.
    """

    permits: int
    now: float
    first_at: float
    slot_seconds: float
    wait_seconds: float
    rate: float

    @classmethod
    def of(cls, answer: list[int]) -> Self:
        """Read the script's answer."""
        permits, now, first_at, slot, wait, rate = answer
        return cls(
            permits,
            now / _MICROSECONDS,
            first_at / _MICROSECONDS,
            slot / _MICROSECONDS,
            wait / _MICROSECONDS,
            rate / 1000,
        )


class RedisLedger:
    """The hash of one account. An async context manager.

    Attributes:
        strange: whether the server may be another one than before, or may have lost something: a new connection, or the
            script is not there. Then ``introduce`` comes first, and what was leased meanwhile is worth nothing.
        where: the address, fit to be shown.
    """

    def __init__(self, url: str, account: str, action: str = "StopWebcast") -> None:
        self._url = url
        self._key = ledger_key(account, action)
        self._script = files("stopcast.fleet.quota").joinpath("reserve.lua").read_text("utf-8")
        self._hash = ""
        self._stack = AsyncExitStack()
        self._client: Redis
        self.strange = True
        self.where = without_secrets(url)

    async def __aenter__(self) -> Self:
        from hashlib import sha1  # noqa: PLC0415 - what Redis knows a script by

        self._hash = sha1(self._script.encode(), usedforsecurity=False).hexdigest()
        self._client = await self._stack.enter_async_context(
            connected(self._url, timeout_seconds=_TIMEOUT_SECONDS, on_connect=self._greet)
        )
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _greet(self, connection: Any) -> None:
        self.strange = True
        await connection.on_connect()

    async def introduce(self, *, full_rate: float, pause: bool) -> Lease | None:
        """Let the server look whether it is the one that gave the last lease; lease nothing.

        Args:
            full_rate: calls a second of the account while nothing is throttled.
            pause: give nothing out for a second in any case.

        Raises:
            QuotaLostError: no answer, or a refusal.
        """
        self.strange = False
        return await self._call("EVAL", self._script, 0, full_rate, 1, int(pause), 0, 0, 0)

    async def lease(
        self, permits: int, *, full_rate: float, throttled: int, hold_seconds: float, reach_seconds: float = 0.0
    ) -> Lease | None:
        """Reserve up to so many slots, and tell of throttled answers. None: the server does not know the script.

        Args:
            permits: 0 to tell only.
            full_rate: calls a second of the account while nothing is throttled.
            throttled: such answers since the last time.
            hold_seconds: for which nobody may call.
            reach_seconds: how long the answer will be on its way; no slot is earlier than that.

        Raises:
            QuotaLostError: no answer, or a refusal.
        """
        hold, reach = round(hold_seconds * _MICROSECONDS), round(reach_seconds * _MICROSECONDS)
        return await self._call("EVALSHA", self._hash, permits, full_rate, 0, 0, throttled, hold, reach)

    async def _call(self, command: str, script: str, *arguments: float) -> Lease | None:
        from redis.exceptions import (  # noqa: PLC0415
            AuthenticationError,
            NoPermissionError,
            NoScriptError,
            RedisError,
        )

        try:
            answer = await self._client.execute_command(command, script, 1, self._key, *arguments)  # type: ignore[no-untyped-call]
        except NoScriptError:
            self.strange = True
            return None
        except (RedisError, OSError) as error:
            # A replica, a server that is loading its data, a full one: whatever it is, another may have taken over.
            self.strange = True
            with suppress(RedisError, OSError):
                await self._client.connection_pool.disconnect()
            raise QuotaLostError(
                f"the shared quota at {self.where}: {error or type(error).__name__}",
                refused=isinstance(error, AuthenticationError | NoPermissionError),
            ) from error
        return Lease.of(answer)
