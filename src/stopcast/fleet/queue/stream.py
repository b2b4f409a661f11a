"""A queue's address, its keys in Redis, and the scripts that change them in one step."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from stopcast.errors import ConfigurationError
from stopcast.fleet.connection import LOST_WRITES, connected, without_secrets
from stopcast.fleet.queue.deliveries import place_of
from stopcast.fleet.queue.failures import STATE_VERSION

GROUP: Final = "stopcast"
#: An identity is kept for this long at least, and for twice as long at most. A task runs a day at most, and after that
#: there is nothing left to stop.
_IDENTITIES_SECONDS: Final = 86_400
_TIMEOUT_SECONDS: Final = 5.0
_NAME: Final = re.compile(r"(?!\d+$)[A-Za-z0-9_.:\-]{1,100}")
_SCRIPTS: Final = ("open", "configure", "keep", "forget", "revive", "adopt")
#: Those that remember tasks.
_REMEMBERING: Final = ("enqueue", "doubt", "doubts", "settle")


def split_address(url: str) -> tuple[str, str]:
    """Return the Redis's URL and the queue's name, which is the last part of the path or ``?queue=NAME``.

    Raises:
        ConfigurationError: the URL names no queue.
    """
    split = urlsplit(url)
    options = dict(parse_qsl(split.query))
    path, name = split.path, options.pop("queue", "")
    if not name and split.scheme != "unix":
        path, _, name = split.path.rpartition("/")
    if not split.scheme or not _NAME.fullmatch(name):
        shown = without_secrets(url)
        raise ConfigurationError(
            f"{shown} is not the address of a queue. Use redis://host:6379/0/NAME, or ?queue=NAME at the end"
        )
    return urlunsplit((split.scheme, split.netloc, path, urlencode(options), "")), name


class Settings(NamedTuple):
    """What all workers of a queue must agree on.

    Attributes:
        claim_after_seconds: the silence after which a worker's tasks are taken over.
        max_deliveries: workers that may die over a task.
    """

    claim_after_seconds: float
    max_deliveries: int

    @property
    def words(self) -> tuple[int, int]:
        """The settings as the scripts take them."""
        return max(1, round(self.claim_after_seconds * 1000)), self.max_deliveries


class Agreed(NamedTuple):
    """The settings as the queue holds them.

    Attributes:
        settings: the settings.
        wait_seconds: no task may be taken over for this long, because not every worker knows the settings yet.
    """

    settings: Settings
    wait_seconds: float

    @classmethod
    def of(cls, answer: Any) -> Self:
        """Return what a script answered."""
        claim_after_ms, max_deliveries, wait_ms = answer
        return cls(Settings(claim_after_ms / 1000, max_deliveries), wait_ms / 1000)


class Stream:
    """A queue's client, keys and scripts. Every method raises what redis-py raises.

    Attributes:
        redis: the client.
        name: of the queue, and of its stream.
        id: the queue's, made by chance with it; "" before ``open``. Another id, or none, means that its data is gone.
        went_back: whether Redis has lost its last writes, and what follows from that is not done yet.
        dead: the stream of tasks that were delivered too often.
        results: the stream of outcomes.
        state: the hash of the queue's id, of its version and of the settings.
    """

    def __init__(self, redis: Any, name: str) -> None:
        self.redis = redis
        self.name = name
        self.id = ""
        #: The newest entry that was read, by which Redis finds out that it has lost its last writes.
        self._newest = b""
        self.went_back = False
        # In a cluster the braces keep all keys of a queue on one node.
        self.dead = f"{{{name}}}:dead"
        self.results = f"{{{name}}}:results"
        self.state = f"{{{name}}}:state"
        self._memory = [f"{{{name}}}:", _IDENTITIES_SECONDS]
        self._scripts = {
            **{script: redis.register_script(_text("state", script)) for script in _SCRIPTS},
            **{script: redis.register_script(_text("state", "memory", script)) for script in _REMEMBERING},
        }

    async def run(self, script: str, *arguments: Any, keys: tuple[str, ...] = ()) -> Any:
        """Run a script of this folder, and return its answer."""
        from redis import ResponseError  # noqa: PLC0415 - slow to import

        memory = self._memory if script in _REMEMBERING else ()
        about = (STATE_VERSION, self.id, GROUP, self._newest, *memory)
        try:
            return await self._scripts[script](keys=[self.name, self.state, *keys], args=[*about, *arguments])
        except ResponseError as error:
            if str(error).startswith(LOST_WRITES):
                # It is an error only once.
                self._newest, self.went_back = b"", True
            raise

    def saw(self, ids: Iterable[bytes], *, first_time: bool) -> None:
        """Record that these entries were delivered, for the first time or again.

        Those that were read long ago do not show that Redis has lost what it learned in between.
        """
        if first_time or not self.went_back:
            self._newest = max([self._newest, *ids], key=place_of)

    def has_caught_up(self) -> None:
        """Record that Redis knows again what it had lost.

        Until an entry is read, Redis would not find out that it has lost this too, as in a second failover. So it is to
        be done again and again.
        """
        self.went_back = not self._newest

    async def open(self) -> None:
        """Make the queue where there is none, and learn its id."""
        (queue_id,) = await self.run("open", secrets.token_hex(8))
        self.id = queue_id.decode()

    def close(self) -> None:
        """Forget the queue's id: the next ``open`` finds the queue that is there then, or makes it."""
        self.id = ""

    async def consumers(self) -> list[dict[str, Any]]:
        """Return the workers as Redis lists them; none where there is no queue yet."""
        from redis import ResponseError  # noqa: PLC0415 - slow to import

        try:
            found: list[dict[str, Any]] = await self.redis.xinfo_consumers(self.name, GROUP)
        except ResponseError as error:
            if "no such key" in str(error) or "NOGROUP" in str(error):
                return []
            raise
        return found

    async def join(self, settings: Settings, *, appends_to: Sequence[str]) -> Agreed:
        """Open the queue as a worker, and return its settings: those given here if it has none yet.

        ``appends_to`` are keys that have to be streams, or absent.
        """
        queue_id, agreed = await self.run("open", secrets.token_hex(8), *settings.words, keys=tuple(appends_to))
        self.id = queue_id.decode()
        return Agreed.of(agreed)


def _text(*scripts: str) -> str:
    return "".join((Path(__file__).parent / f"{script}.lua").read_text("utf-8") for script in scripts)


@asynccontextmanager
async def connected_stream(
    url: str, *, on_connect: Callable[[Any], Awaitable[None]] | None = None
) -> AsyncIterator[Stream]:
    """Yield the queue at a URL, and close its connections. ``on_connect`` makes the handshake of each.

    Raises:
        ConfigurationError: the URL names no queue, or redis-py is not installed.
    """
    address, name = split_address(url)
    async with connected(address, timeout_seconds=_TIMEOUT_SECONDS, on_connect=on_connect) as redis:
        yield Stream(redis, name)
