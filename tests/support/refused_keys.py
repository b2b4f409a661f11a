"""A Stopper whose key the API refuses, until it is accepted again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from stopcast import CredentialsRefusedError, Router, StopcastError, Stopper, StopperState, Task
from stopcast.sandbox.answers import Answer, ok, refusal
from support.processes import tasks
from support.streams import everything
from support.virtual import Api, virtual_stopper


class Door:
    """Answers that the key is refused while it is shut."""

    def __init__(self) -> None:
        self.shut = True
        self.api = Api(self._answer)

    def _answer(self, _: Task) -> Answer:
        return refusal({}, "SignatureDoesNotMatch") if self.shut else ok({})


def health(stopper: Stopper | Router) -> tuple[StopperState, StopcastError | None]:
    return stopper.state, stopper.error


@asynccontextmanager
async def refused(door: Door, **settings: Any) -> AsyncIterator[Stopper]:
    """Open a Stopper whose key was refused for good."""
    async with virtual_stopper(door.api, **settings) as stopper:
        with pytest.raises(CredentialsRefusedError):
            await everything(stopper, tasks(20))
        await asyncio.sleep(1)
        door.api.sent.clear()
        yield stopper
