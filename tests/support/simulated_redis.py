"""A Redis on virtual time: it runs the very script of the shared quota, in an interpreter of Lua.

For what a real one cannot show: a thousand workers in little time, and a clock that is set. What it cannot show is what
the tests with the real server are for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from importlib.resources import files
from types import TracebackType
from typing import Any, Final, Self

from lupa import lua51

from stopcast.errors import QuotaLostError
from stopcast.fleet.quota.redis_ledger import Lease, LedgerRequest, ledger_keys

#: Unix time at which virtual time begins.
_BEGAN_AT: Final = 1_800_000_000.0


class SimulatedRedis:
    """Keeps hashes, and does one thing after the other.

    Args:
        service_seconds: what the script takes.
        timeout_seconds: after which a caller gives up waiting for its answer.

    Attributes:
        hashes: what it keeps.
        server: changes when it starts anew, or another takes over.
        clock_set_by: seconds by which its clock was set since.
        up: whether it answers.
        calls: how often the script was run.
        busy_seconds: for how long.
    """

    def __init__(self, *, service_seconds: float = 0.0, timeout_seconds: float = 60.0) -> None:
        self.hashes: dict[str, dict[str, str]] = {}
        self.server = "first"
        self.clock_set_by = 0.0
        self.up = True
        self.calls = 0
        self.busy_seconds = 0.0
        self._service_seconds = service_seconds
        self._timeout_seconds = timeout_seconds
        self._free_at = 0.0
        self._lua = lua51.LuaRuntime(unpack_returned_tuples=True)
        script = files("stopcast.fleet.quota").joinpath("reserve.lua").read_text("utf-8")
        self._script = self._lua.execute(f"return function(redis, KEYS, ARGV) {script}\nend")
        self._redis = self._lua.table_from({"call": self._command, "pcall": self._command})

    def now(self) -> float:
        """Return what its clock shows, in Unix time."""
        return _BEGAN_AT + asyncio.get_running_loop().time() + self.clock_set_by

    def _command(self, name: str, *arguments: Any) -> Any:
        now = self.now()
        key = arguments[0] if arguments else ""
        kept = self.hashes.setdefault(key, {}) if name.startswith("H") else {}
        match name:
            case "TIME":
                return self._lua.table_from([str(int(now)), str(int(now % 1 * 1e6))])
            case "INFO":
                return f"run_id:{self.server}\r\n"
            case "HMGET":
                return self._lua.table_from([kept.get(field, False) for field in arguments[1:]])
            case "HSET":
                kept.update(zip(arguments[1::2], map(str, arguments[2::2]), strict=True))
            case "DEL":
                self.hashes.pop(key, None)
        return 0

    async def run(self, keys: Sequence[str], *arguments: float | str) -> list[Any]:
        """Run the script when it is its turn, and return its answer."""
        loop = asyncio.get_running_loop()
        self._free_at = max(self._free_at, loop.time()) + self._service_seconds
        self.busy_seconds += self._service_seconds
        self.calls += 1
        wait = self._free_at - loop.time()
        if wait > 0:
            await asyncio.sleep(min(wait, self._timeout_seconds))
        if not self.up or wait > self._timeout_seconds:
            raise QuotaLostError("away")
        table = self._lua.table_from
        return list(self._script(self._redis, table(keys), table([str(value) for value in arguments])).values())


class SimulatedLedger:
    """One process's connection. Fills what ``SharedQuota`` needs of a ledger.

    Args:
        redis: the other side.
        account: whose quota it is.
        delay: returns the seconds that the next way takes, there or back.
    """

    def __init__(self, redis: SimulatedRedis, account: str, delay: Callable[[], float]) -> None:
        self._redis = redis
        self._account = account
        self._delay = delay
        self._server = ""
        self.unverified = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        pass

    async def ask(self, request: LedgerRequest) -> Lease | None:
        """Run the script."""
        if request.verify:
            self.unverified = False
        try:
            await asyncio.sleep(self._delay())
            if self._server != self._redis.server:
                self.unverified, self._server = True, self._redis.server
            answer = await self._redis.run(
                ledger_keys(self._account, "StopWebcast"), *request.arguments(self._account, "StopWebcast")
            )
            await asyncio.sleep(self._delay())
        except QuotaLostError:
            self.unverified = True
            raise
        return Lease.of(answer, most=request.permits, where="the simulated Redis")
