"""Errors of Redis: their words for the user, which of them end the work, and how to wait out the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final
from weakref import WeakSet

from stopcast.errors import ConfigurationError, QueueDataLostError, QueueError, StopcastError
from stopcast.events import Event, QueueFound, QueueLost
from stopcast.fleet.connection import LOST_WRITES, NO_CLUSTER, is_cluster, refuses_access, words_of
from stopcast.marking import N_

#: The version of the data in Redis. Version 0.1 of stopcast wrote none.
STATE_VERSION: Final = 2
_PAUSE_SECONDS: Final = 0.1
#: Between two tries, while Redis is away.
LONGEST_PAUSE_SECONDS: Final = 2.0
#: The connection is there again, and so is Redis.
_MADE_ANEW: Final = "the connection was lost"
_REFUSED: Final = N_("Redis refuses access: {words}")


def data_lost(queue: str, _: str = "") -> QueueDataLostError:
    """Return the error for a queue whose tasks are gone."""
    return QueueDataLostError(
        f"the queue {queue} has lost its tasks: Redis was emptied, or was started again without its data. "
        f"Put the list in again: stopcast enqueue LIST"
    )


def _other_version(queue: str, version: str) -> QueueError:
    return QueueError(
        f"the queue {queue} belongs to another version of stopcast: its data has the version {version}, and this "
        f"stopcast knows {STATE_VERSION}. Use the same version of stopcast everywhere"
    )


def _no_stream(_: str, key: str) -> QueueError:
    return QueueError(
        f"the key {key} is not a stream, so nothing can be appended to it; the tasks stay in the queue. "
        f"Rename or delete that key, then start the worker again"
    )


def _wrong_type(queue: str, _: str) -> QueueError:
    return QueueError(
        f"one of the keys of the queue {queue} exists already and holds something else. `stopcast help queue` says "
        f"which keys it has. Choose another name for the queue, or rename that key"
    )


#: By the first word of an error. The scripts of this folder return those that begin with STOPCAST.
_PERMANENT: Final[Mapping[str, Callable[[str, str], StopcastError]]] = {
    "STOPCASTGONE": data_lost,
    "STOPCASTVERSION": _other_version,
    "STOPCASTTYPE": _no_stream,
    "WRONGTYPE": _wrong_type,
}


def permanent(error: BaseException, queue: str) -> StopcastError | None:
    """Return the error that ends the work with this queue; None if Redis may accept the same command later."""
    from redis import exceptions  # noqa: PLC0415 - slow to import

    if isinstance(error, StopcastError):
        return error
    if is_cluster(error):
        return ConfigurationError(NO_CLUSTER)
    if not isinstance(error, exceptions.ResponseError):
        return None
    code, _, rest = words_of(error).partition(" ")
    describe = _PERMANENT.get(code)
    return describe(queue, rest) if describe is not None else None


def check_version(queue: str, version: bytes | None) -> None:
    """Raise a QueueError if the queue's data has another version. Version 0.1 of stopcast wrote none."""
    if version is not None and version != b"%d" % STATE_VERSION:
        raise _other_version(queue, version.decode("utf-8", "backslashreplace"))


@contextmanager
def report_errors(queue: str) -> Iterator[None]:
    """Raise an error of Redis as a StopcastError, in words for the user.

    Raises:
        ConfigurationError: Redis refuses the login or its rights, or is a cluster.
        QueueDataLostError: the queue's tasks are gone.
        QueueError: anything else.
    """
    from redis.exceptions import RedisError  # noqa: PLC0415 - slow to import

    try:
        yield
    except (RedisError, OSError) as error:
        if refuses_access(error):
            raise ConfigurationError(f"Redis refuses access to the queue {queue}: {words_of(error)}") from None
        raise permanent(error, queue) or QueueError(f"the queue {queue} cannot be used: {words_of(error)}") from None


class Availability:
    """Redis as seen by several activities: it is back when the last of them succeeds again.

    Reading may succeed while writing fails, for example where Redis has no memory left.

    Attributes:
        errors: what redis-py raises, except for programming errors.
    """

    def __init__(self, queue: str, emit: Callable[[Event], None]) -> None:
        from redis import RedisError  # noqa: PLC0415 - slow to import

        self.errors = (RedisError, OSError)
        self._queue = queue
        self._emit = emit
        self._failing: set[str] = set()
        self._began_at = 0.0
        self._pause_seconds = _PAUSE_SECONDS
        self._closing = asyncio.Event()
        self._connections: WeakSet[Any] = WeakSet()

    async def on_connect(self, connection: Any) -> None:
        """Make a connection's handshake. A connection that was lost and is made anew is an error first.

        redis-py is silent about one that was lost while nothing was asked over it. The next command would not know that
        Redis was away, and may have lost its last writes.
        """
        from redis.exceptions import ConnectionError as ConnectionLostError  # noqa: PLC0415 - slow to import

        await connection.on_connect()
        if connection in self._connections and not self._closing.is_set():
            self._connections.remove(connection)
            raise ConnectionLostError(_MADE_ANEW)
        self._connections.add(connection)

    def close(self) -> None:
        """End the pauses, for a worker that ends."""
        self._closing.set()

    async def failed(self, activity: str, error: BaseException) -> None:
        """Wait a moment before the next try.

        Raises:
            StopcastError: no further try can succeed.
        """
        if (ended_by := permanent(error, self._queue)) is not None:
            raise ended_by from error
        if not self._failing:
            self._began_at = asyncio.get_running_loop().time()
        if not self._failing or str(error).startswith(LOST_WRITES):
            words = words_of(error)
            self._emit(QueueLost(_REFUSED.format(words=words) if refuses_access(error) else words))
        self._failing.add(activity)
        if str(error).startswith((LOST_WRITES, _MADE_ANEW)):
            # Redis is there, and others may read, or take over what is ours.
            self._pause_seconds = _PAUSE_SECONDS
        await self.pause(self._pause_seconds)
        self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)

    async def pause(self, seconds: float) -> None:
        """Wait, at most until ``close``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()

    def away_seconds(self, activity: str) -> float:
        """Return the seconds for which Redis has been away, 0 if the activity did not fail."""
        return asyncio.get_running_loop().time() - self._began_at if activity in self._failing else 0.0

    def succeeded(self, activity: str) -> float:
        """Return the seconds for which Redis was away, 0 if the activity had not failed."""
        if activity not in self._failing:
            return 0.0
        away_seconds = self.away_seconds(activity)
        self._failing.remove(activity)
        if not self._failing:
            self._pause_seconds = _PAUSE_SECONDS
            self._emit(QueueFound())
        return away_seconds
