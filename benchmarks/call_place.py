"""What the clients of ``call_cost.py`` share: where and how often each of them calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stopcast.api.actions import request_body
from stopcast.api.endpoint import Endpoint
from stopcast.api.signing import Signer
from stopcast.credentials.value import Credentials
from stopcast.ports import Request
from stopcast.tasks.task import Task

CREDENTIALS: Final = Credentials("AKLTbench0123456789abcdef01234567", "c2VjcmV0LWZvci1hLWJlbmNobWFyaw==")
TASK: Final = Task("64a1b2c3d4e5f60123456789", "room-0001", "webcast-0000000001")
Job = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The setting of one measurement.

    Attributes:
        url: the server.
        tasks: a list with one task for each call.
        report: the path of the report, which does not exist yet.
        calls: the number of calls.
        at_once: the number of workers.
        threads: the number of threads, for clients that cannot do without them.
        per_second: the pace, for clients that can keep one; None for no limit.
    """

    url: str
    tasks: Path
    report: Path
    calls: int
    at_once: int
    threads: int
    per_second: float | None = None

    @property
    def endpoint(self) -> Endpoint:
        """The server, as stopcast's type."""
        return Endpoint.parse(self.url)

    def request(self) -> tuple[str, bytes, dict[str, str]]:
        """Return the address, body and headers of one signed call, for clients that repeat it."""
        endpoint, body = self.endpoint, request_body(TASK)
        signer = Signer(CREDENTIALS, host=endpoint.host, region=endpoint.region, query=endpoint.query)
        return (
            endpoint.url,
            body,
            {**signer.sign(Request(body, endpoint.query), time.time()), "Accept-Encoding": "identity"},
        )


async def in_workers(place: Place, call: Callable[[], Awaitable[object]]) -> None:
    """Make the calls, ``at_once`` of them in parallel."""
    numbers = iter(range(place.calls))

    async def work() -> None:
        for _ in numbers:
            await call()

    await asyncio.gather(*(work() for _ in range(place.at_once)))


def check(place: Place, good: int) -> None:
    """Check that every call went well."""
    if good != place.calls:
        raise RuntimeError(f"{good} of {place.calls} calls went well")
