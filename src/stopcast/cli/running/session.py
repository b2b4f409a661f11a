"""What a run and the verification that follows it share."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Self

from stopcast.background import Supervisor
from stopcast.cli.signals import Signals
from stopcast.cli.user import User
from stopcast.errors import BackgroundTaskError


@dataclass(frozen=True, slots=True)
class Session:
    """What a job and its verification share.

    Attributes:
        user: reads the log, and may be asked.
        signals: end and steer the present run.
        stack: closes what was opened, when both have ended.
        failure: of a background task. It is a future, because a task may fail while there is no run to end.
        supervisor: of the background tasks.
    """

    user: User
    signals: Signals
    stack: AsyncExitStack
    failure: asyncio.Future[BackgroundTaskError]
    supervisor: Supervisor

    @classmethod
    def begin(cls, user: User, signals: Signals, stack: AsyncExitStack) -> Self:
        """Return a session in which a failed background task ends the run."""
        failure: asyncio.Future[BackgroundTaskError] = asyncio.get_running_loop().create_future()

        def fail(error: BackgroundTaskError) -> None:
            if not failure.done():
                failure.set_result(error)

        supervisor = Supervisor(fail)
        stack.push_async_callback(supervisor.end)
        return cls(user, signals, stack, failure, supervisor)
