"""A shared quota for the processes of a world: the real one with its real script, on a simulated Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final

from simulation.loop import current_group
from simulation.world import World
from stopcast.background import cancellable
from stopcast.fleet.quota.shared_quota import SharedQuota
from support.simulated_redis import SimulatedLedger, SimulatedRedis

if TYPE_CHECKING:
    from stopcast.fleet.quota.redis_ledger import Lease, LedgerRequest

_ACCOUNT: Final = "account"


class _Ledger(SimulatedLedger):
    """A connection that may swallow a cancellation, as redis-py does when it takes a connection from its pool."""

    def __init__(self, fleet: Fleet, name: str, account: str) -> None:
        super().__init__(fleet.redis, account, lambda: fleet.way_seconds(name))
        self._fleet = fleet
        self._name = name
        self._asked = 0

    async def ask(self, request: LedgerRequest) -> Lease | None:
        """Run the script, as the client of Redis lets each command run."""
        self._asked += 1
        return await cancellable(self._ask(request), name="command to the simulated Redis")

    async def _ask(self, request: LedgerRequest) -> Lease | None:
        try:
            return await super().ask(request)
        except asyncio.CancelledError:
            if not self._fleet.happens("redis_swallows", self._name, self._asked):
                raise
            return await super().ask(request)


class Fleet:
    """The Redis of a world, and its troubles.

    Attributes:
        calm: whether no fault happens any more.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.redis = SimulatedRedis(timeout_seconds=1.0)
        self.calm = False
        self._ways = 0

    def happens(self, kind: str, *subject: object) -> bool:
        """Return whether a fault happens now."""
        return not self.calm and self.world.happens(kind, *subject)

    def way_seconds(self, name: str) -> float:
        """Return the seconds that the next way to Redis, or back, takes."""
        self._ways += 1
        if self.happens("redis_slow", name, self._ways):
            return self.world.between(0.001, 0.8, "redis_slow", name, self._ways)
        return self.world.between(0.0001, 0.001, "way", name, self._ways)

    def quota(self, name: str) -> SharedQuota:
        """Return the quota of one process."""
        processes = self.world.lives + 1
        lost_share = processes if processes <= self.world.cap and self.world.share("lost_share") < 0.5 else None
        return self._quota(name, account=_ACCOUNT, max_per_second=self.world.cap, lost_share=lost_share)

    def of_command(self, _: str, **settings: Any) -> SharedQuota:
        """Return what stands in for the quota of the command's process that runs now."""
        group = current_group()
        assert group is not None
        return self._quota(group.name, **settings)

    def _quota(self, name: str, *, account: str, **settings: Any) -> SharedQuota:
        return SharedQuota(_Ledger(self, name, account), account=account, **settings)

    async def trouble(self, note: Callable[[str], None]) -> None:
        """Let Redis have its troubles, one after the other."""
        for place in range(4):
            for kind, happen in _TROUBLES.items():
                if self.world.happens(kind, place):
                    await asyncio.sleep(self.world.between(0.0, 3.0, kind, place))
                    if self.calm:
                        return
                    note(kind)
                    await happen(self, self.world.between(0.01, 4.0, kind, "for", place))

    def end_troubles(self) -> None:
        """Let no fault happen any more."""
        self.calm = self.redis.up = True


async def _away(fleet: Fleet, seconds: float) -> None:
    fleet.redis.up = False
    await asyncio.sleep(seconds)
    fleet.redis.up = True


async def _restarted(fleet: Fleet, seconds: float) -> None:
    await _away(fleet, seconds / 4)
    fleet.redis.server += "s"


async def _emptied(fleet: Fleet, seconds: float) -> None:
    fleet.redis.hashes.clear()
    if seconds > 1.0:
        await _restarted(fleet, seconds)


async def _failed_over(fleet: Fleet, seconds: float) -> None:
    # To a replica that has not got the newest.
    kept = deepcopy(fleet.redis.hashes)
    await asyncio.sleep(seconds / 8)
    fleet.redis.hashes, fleet.redis.server = kept, fleet.redis.server + "s"


async def _clock_set(fleet: Fleet, seconds: float) -> None:
    fleet.redis.clock_set_by += fleet.world.pick((-3600.0, -1.0, -0.1, 0.1, 1.0, 3600.0), "clock", seconds)


_TROUBLES: Final[Mapping[str, Callable[[Fleet, float], Awaitable[Any]]]] = {
    "redis_away": _away,
    "redis_restarted": _restarted,
    "redis_emptied": _emptied,
    "redis_failed_over": _failed_over,
    "redis_clock_set": _clock_set,
}
