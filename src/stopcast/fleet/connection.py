"""Opens connections to a Redis by its URL. The shared quota and the queue decide what is sent over them.

Five kinds of address: ``redis://``, ``rediss://`` (TLS), ``unix://``, and a Sentinel's ``redis+sentinel://`` and
``rediss+sentinel://``, each with ``[user:password@]`` and ``/db``. Passwords are never shown.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from stopcast.errors import ConfigurationError
from stopcast.marking import N_

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.sentinel import Sentinel

_SCHEMES: Final = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
#: No option switches the check of certificates off: TLS is always verified.
_OPTIONS: Final = {"db", "password", "sentinel_username", "sentinel_password"}
_TLS_OPTIONS: Final = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_password"}
_SENTINEL_PORT: Final = 26379
#: What Redis 7 and Valkey answer where a script uses a command that the user may not; redis-py has no type for it.
_LACKS_A_RIGHT: Final = re.compile(r"executing the script can't run this command|^ACL failure in script")
#: How the error begins that the queue's state.lua returns where Redis has lost its last writes.
LOST_WRITES: Final = "STOPCASTBACK"
#: What state.lua, Redis 7 and Redis 6 add to an error of a script.
_SCRIPT: Final = re.compile(
    rf"^{LOST_WRITES} | script: (?:[0-9a-f]{{40}}, )?on @\S+$|^(ERR )?Error running script \(call to \w+\): @\S+ "
)
NO_CLUSTER: Final = N_(
    "this is a Redis Cluster, which stopcast does not support. Use a single Redis or Valkey; for failover, "
    "replicas under Sentinel: redis+sentinel://host1,host2/service/0"
)


def is_cluster(error: BaseException) -> bool:
    """Return whether this is an error that only a Redis Cluster answers with."""
    from redis import exceptions  # noqa: PLC0415 - slow to import

    # redis-py cuts the first word off the errors that it knows, but before 6.0 those of a script are whole.
    kinds = (exceptions.MovedError, exceptions.AskError, exceptions.ClusterDownError, exceptions.ClusterCrossSlotError)
    whole = ("MOVED ", "ASK ", "CLUSTERDOWN ", "CROSSSLOT ")
    return isinstance(error, kinds) or (isinstance(error, exceptions.ResponseError) and str(error).startswith(whole))


def refuses_access(error: BaseException) -> bool:
    """Return whether Redis answers, and refuses the login or a right."""
    from redis import exceptions  # noqa: PLC0415 - slow to import

    refusals = (exceptions.AuthenticationError, exceptions.NoPermissionError)
    # Over a socket of this machine redis-py makes another error of a login that is refused.
    return (
        isinstance(error, refusals)
        or isinstance(error.__cause__, refusals)
        or _LACKS_A_RIGHT.search(str(error)) is not None
    )


def words_of(error: BaseException) -> str:
    """Return what Redis or the connection reports, or at least the kind of error."""
    return _SCRIPT.sub("", str(error)) or type(error).__name__


def without_secrets(url: str) -> str:
    """Return the URL with the login and every password as ``***``."""
    return re.sub(r"([?&]\w*password=)[^&]*", r"\1***", re.sub(r"//.*@", "//***@", url, flags=re.DOTALL))


def has_password(url: str) -> bool:
    """Return whether the URL holds something that must not be shown."""
    return without_secrets(url) != url


@asynccontextmanager
async def connected(
    url: str, *, timeout_seconds: float, on_connect: Callable[[Any], Awaitable[None]] | None = None
) -> AsyncIterator[Redis]:
    """Yield a client for a URL, and close it. It connects with its first command, and never sends one twice by itself.

    Args:
        url: ``redis://[user:password@]host[:6379][/db]``; ``rediss://`` for TLS, always verified, with
            ``?ssl_ca_certs=FILE`` for your own certificate authority, ``ssl_certfile`` and ``ssl_keyfile`` for a client
            certificate;
            ``unix:///socket?db=0``; or ``redis+sentinel://[user:password@]host[:26379],host.../service[/db]``, with
            ``?sentinel_username=`` and ``sentinel_password=`` where the Sentinels ask for them.
        timeout_seconds: for connecting, and for an answer.
        on_connect: is awaited with every new connection instead of its handshake, which it has to make itself.

    Raises:
        ConfigurationError: the URL is not the address of a Redis, or redis-py is not installed.
    """
    try:
        from redis.asyncio.retry import Retry  # noqa: PLC0415 - an extra, and slow to import
        from redis.backoff import NoBackoff  # noqa: PLC0415

        from stopcast.fleet.client import Client, close  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError("this needs redis-py: pip install 'stopcast[redis]'") from None
    settings: dict[str, Any] = {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        # The quota and the queue both have to know when a connection was lost.
        "retry": Retry(NoBackoff(), 0),
        "redis_connect_func": on_connect,
        "protocol": 2,
    }
    split = _split(url)
    clients: list[Redis]
    if split.scheme.endswith("+sentinel"):
        sentinel, service = _sentinel(split, settings)
        clients = [sentinel.master_for(service, redis_class=Client), *sentinel.sentinels]
    else:
        clients = [Client.from_url(url, **settings)]
    try:
        yield clients[0]
    finally:
        await close(*clients)


def _split(url: str) -> SplitResult:
    try:
        split = urlsplit(url)
        options = {name for name, _ in parse_qsl(split.query, strict_parsing=bool(split.query))}
        tls = split.scheme.startswith("rediss")
        *_, last = ["", *split.path.strip("/").split("/")]
        plain = split.scheme in {"redis", "rediss"}
        right = (
            split.scheme in _SCHEMES
            and options <= (_OPTIONS | _TLS_OPTIONS if tls else _OPTIONS)
            and (not plain or (split.port != 0 and re.fullmatch(r"/?\d*", split.path)))
            and bool(last if split.scheme == "unix" else split.netloc)
        )
    except ValueError:
        # Its text may hold a piece of the password.
        right = False
    if not right:
        raise ConfigurationError(
            f"not the address of a Redis: {without_secrets(url)}. Use redis://host:6379/0, rediss:// for TLS, "
            f"unix:///socket, or redis+sentinel://host,host/service; a password with / ? # @ in it must be "
            f"percent-encoded"
        )
    return split


def _sentinel(split: SplitResult, settings: dict[str, Any]) -> tuple[Sentinel, str]:
    from redis.asyncio.sentinel import Sentinel  # noqa: PLC0415

    options = dict(parse_qsl(split.query))
    login, _, hosts = split.netloc.rpartition("@")
    username, _, password = login.partition(":")
    service, _, db = split.path.strip("/").partition("/")
    try:
        addresses = [_address(host) for host in hosts.split(",")]
        settings["db"] = int(db or options.get("db", "0"))
    except ValueError:
        addresses = []
    if not service or not addresses:
        raise ConfigurationError("a Sentinel's address is redis+sentinel://host[:26379],host[:26379]/service[/db]")
    to_sentinels = {
        "username": options.get("sentinel_username"),
        "password": options.get("sentinel_password"),
        "socket_timeout": settings["socket_timeout"],
        "socket_connect_timeout": settings["socket_connect_timeout"],
    }
    if split.scheme.startswith("rediss"):
        tls = {"ssl": True, **{name: options[name] for name in _TLS_OPTIONS if name in options}}
        settings |= tls
        to_sentinels |= tls
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        addresses,
        sentinel_kwargs=to_sentinels,
        username=unquote(username) or None,
        password=unquote(password) or None,
        **settings,
    )
    return sentinel, service


def _address(host: str) -> tuple[str, int]:
    name, colon, port = host.rpartition(":")
    return (name.strip("[]"), int(port)) if colon and not host.endswith("]") else (host.strip("[]"), _SENTINEL_PORT)
