"""An account whose credentials expire, on virtual time."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from typing import Any

from stopcast import Credentials, Outcome, Status, Stopper
from stopcast.events import Event
from stopcast.ports import Answer, Gate, Request
from stopcast.sandbox.answers import ok, refusal
from stopcast.sandbox.checks import RefusedError, check_signature, read_target
from support.processes import tasks

TEN_MINUTES = 600.0
TARGET = read_target("/?Action=StopWebcast&Version=2020-12-01")
#: Calls that a dead key may cost, beside those in flight.
FEW = 10


class Account:
    """An account whose keys live ten minutes: it issues them, and as the API it refuses those that have expired.

    Both go by its own clock, which is ahead of this machine's by ``clock_offset`` seconds.
    """

    def __init__(self, *, clock_offset: float = 0.0, latency_seconds: float = 0.02) -> None:
        self.clock_offset = clock_offset
        self.latency_seconds = latency_seconds
        self.began_at = time.time()
        self.issued: dict[str, tuple[Credentials, float]] = {}
        self.issued_at: list[float] = []
        self.revoked: set[str] = set()
        self.answers: Counter[str] = Counter()
        self.calls_by_key: Counter[str] = Counter()
        self.in_flight = self.most_in_flight = 0

    async def issue(self) -> Credentials:
        """Give a new key: a provider that really rotates."""
        now = asyncio.get_running_loop().time()
        name = f"AK{len(self.issued)}"
        # This machine's wall clock stands still beside the virtual one, and what counts is the difference.
        expires_at = time.time() + self.clock_offset + TEN_MINUTES
        credentials = Credentials(name, f"secret-{name}", f"token-{name}", expires_at=expires_at)
        self.issued[name] = credentials, now + TEN_MINUTES
        self.issued_at.append(now)
        return credentials

    async def send(self, request: Request, gate: Gate) -> Answer:
        await gate.permit()
        headers = gate.admit()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.latency_seconds)
            answer = self._answer(request.body, headers)
        finally:
            self.in_flight -= 1
        self.answers[answer.code or ""] += 1
        return Answer(
            answer.status,
            {**answer.headers, "Date": formatdate(time.time() + self.clock_offset, usegmt=True)},
            answer.body,
        )

    def _answer(self, body: bytes, headers: Mapping[str, str]) -> Any:
        name = headers["Authorization"].partition("Credential=")[2].partition("/")[0]
        self.calls_by_key[name] += 1
        credentials, dies_at = self.issued[name]
        signed = {**headers, "Host": headers["Host"]}
        lower = {name.lower(): value for name, value in signed.items()} | signed
        try:
            check_signature(
                credentials, TARGET, method="POST", headers=lower, body=body, now=time.time() + self.clock_offset
            )
        except RefusedError as error:
            return refusal({}, str(error))
        if name in self.revoked or asyncio.get_running_loop().time() >= dies_at:
            return refusal({}, "InvalidSecretToken")
        return ok({})

    @property
    def refused(self) -> int:
        """Calls whose key was refused."""
        return self.answers["InvalidSecretToken"]


class Watched:
    """A run of ``number`` tasks against the account, its outcomes and its events."""

    def __init__(
        self, account: Account, provider: Callable[[], Awaitable[Credentials]], number: int, **settings: Any
    ) -> None:
        self.events: list[Event] = []
        self.outcomes: list[Outcome] = []
        self._number = number
        self._stopper = Stopper(
            provider,
            endpoint="http://127.0.0.1",
            transport=account,
            observers=[self.events.append],
            drain_seconds=0,
            **settings,
        )

    async def run(self) -> None:
        async with self._stopper as stopper:
            async for outcome in stopper.stop_all(tasks(self._number)):
                self.outcomes.append(outcome)

    def events_of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def statuses(self) -> Counter[Status]:
        return Counter(outcome.status for outcome in self.outcomes)
