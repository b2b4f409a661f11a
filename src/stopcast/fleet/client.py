"""redis-py's client, except that a cancellation always ends a command and the closing. It is slow to import.

redis-py takes some cancellations for its own time-outs, and before Python 3.12 ``asyncio.wait_for``, by which it sends,
loses every one that comes just when the command was sent.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError

from stopcast.background import END_WITHIN_SECONDS, cancellable, finish_task


class Client(Redis):
    """A client for commands and pipelines."""

    async def execute_command(self, *words: Any, **options: Any) -> Any:
        """Send a command, and return its answer."""
        return await cancellable(super().execute_command(*words, **options), name="command to Redis")  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:  # noqa: FBT001, FBT002
        """Return a new pipeline."""
        return _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class _Pipeline(Pipeline):
    async def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002
        """Send the commands, and return their answers, or raise the first error as Redis words it."""
        answers = await cancellable(super().execute(raise_on_error=False), name="commands to Redis")
        # redis-py would put the command around the error's text, and what to do follows from how that begins.
        if raise_on_error and (errors := [answer for answer in answers if isinstance(answer, Exception)]):
            raise errors[0]
        return answers


async def close(*clients: Redis) -> None:
    """Close clients, within the time that background tasks have to end."""
    await finish_task(asyncio.create_task(_close(clients), name="closing of Redis"), within_seconds=END_WITHIN_SECONDS)


async def _close(clients: tuple[Redis, ...]) -> None:
    await asyncio.gather(*map(_close_one, clients))


async def _close_one(client: Redis) -> None:
    # The server may be gone.
    with suppress(RedisError, OSError):
        await client.aclose()
