"""Where a queue lies in Redis: its address, the names of its keys, and the scripts that change it in one step."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from stopcast.errors import ConfigurationError, QueueError
from stopcast.fleet.connection import connected, without_secrets

GROUP: Final = "stopcast"
#: An identity is kept for this long at least, and for twice as long at most. A task runs a day at most, and after that
#: there is nothing left to stop.
IDENTITIES_SECONDS: Final = 86_400
_TIMEOUT_SECONDS: Final = 5.0
_NAME: Final = re.compile(r"(?!\d+$)[A-Za-z0-9_.:\-]{1,100}")
_FORM: Final = "redis://host:6379/0/NAME (or ?queue=NAME at the end)"


class Stream:
    """A queue's client, keys and scripts.

    Attributes:
        redis: the client.
        name: of the queue, and of its stream.
        dead: the stream of what was delivered too often.
        results: the stream of outcomes.
        seen: what the keys of the identities begin with.
    """

    def __init__(self, redis: Any, name: str) -> None:
        self.redis = redis
        self.name = name
        # In a cluster the braces keep all of a queue's keys together.
        self.dead = f"{{{name}}}:dead"
        self.results = f"{{{name}}}:results"
        self.seen = f"{{{name}}}:seen:"
        self.enqueue, self.settle, self.keep, self.forget = (
            redis.register_script((Path(__file__).parent / f"{script}.lua").read_text())
            for script in ("enqueue", "settle", "keep", "forget")
        )

    async def open(self) -> None:
        """Make the stream and its group where there are none.

        Raises:
            RedisError: it cannot be done.
        """
        from redis import ResponseError  # noqa: PLC0415 - slow to import

        try:
            await self.redis.xgroup_create(self.name, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise


@asynccontextmanager
async def connected_stream(url: str) -> AsyncIterator[Stream]:
    """Yield the queue at a URL; its connections are closed in the end.

    Raises:
        ConfigurationError: no such URL, or redis-py is not installed.
    """
    address, name = split_address(url)
    async with connected(address, timeout_seconds=_TIMEOUT_SECONDS) as redis:
        yield Stream(redis, name)


@contextmanager
def telling_errors() -> Iterator[None]:
    """Raise what Redis says as a QueueError, in words for the person."""
    from redis.exceptions import AuthenticationError, NoPermissionError, RedisError  # noqa: PLC0415 - slow to import

    try:
        yield
    except (AuthenticationError, NoPermissionError) as error:
        raise ConfigurationError(f"Redis refuses the queue: {error}") from None
    except (RedisError, OSError) as error:
        raise QueueError(f"the queue cannot be used: {words_of(error)}") from None


def words_of(error: BaseException) -> str:
    """Return what Redis or the way to it says, or at least what kind of error it is."""
    return str(error) or type(error).__name__


def split_address(url: str) -> tuple[str, str]:
    """Return the Redis's URL and the queue's name, which is the last part of the path or ``?queue=NAME``.

    Raises:
        ConfigurationError: it names no queue.
    """
    split = urlsplit(url)
    options = dict(parse_qsl(split.query))
    path, name = split.path, options.pop("queue", "")
    if not name and split.scheme != "unix":
        path, _, name = split.path.rpartition("/")
    if not split.scheme or not _NAME.fullmatch(name):
        raise ConfigurationError(f"no address of a queue: {without_secrets(url)}. It is {_FORM}")
    return urlunsplit((split.scheme, split.netloc, path, urlencode(options), "")), name
