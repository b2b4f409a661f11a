"""Several accounts, each with its own emulator of the API, and a router over them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from stopcast import Credentials, Router, Stopper, Task, Unlimited
from stopcast.sandbox import Emulator
from support.streams import QUICK


class Accounts:
    """Accounts, each with its own server, key and AppId, and a router over them."""

    def __init__(self, emulators: dict[str, Emulator], router: Router) -> None:
        self.emulators = emulators
        self.router = router


@asynccontextmanager
async def accounts(
    *names: str, wrong: str = "", max_backlog: int = 100_000, **settings: Any
) -> AsyncIterator[Accounts]:
    """Open the accounts; those named in ``wrong`` have a secret that is refused."""
    async with AsyncExitStack() as stack:
        emulators, stoppers = {}, {}
        for name in names:
            key = Credentials(f"AK{name}", f"secret-{name}")
            emulators[name] = await stack.enter_async_context(Emulator(quota_per_second=None, credentials=key))
            used = Credentials(key.access_key, "wrong") if name in wrong else key
            defaults: dict[str, Any] = {"limiter": Unlimited(), "retry": QUICK, "drain_seconds": 0}
            stoppers[name] = Stopper(used, endpoint=emulators[name].url, **defaults | settings)
        routes = {f"{name}*": name for name in names}
        yield Accounts(emulators, await stack.enter_async_context(Router(stoppers, routes, max_backlog=max_backlog)))


def mixed(number: int, *apps: str) -> list[Task]:
    """Return ``number`` tasks of each AppId, by turns."""
    return [Task(app, f"room-{n}", f"task-{n}") for n in range(number) for app in apps]
