"""Redis by URL: what the shared quota and the queue have in common, and nothing of what they do there.

Five kinds of address: ``redis://``, ``rediss://`` (TLS), ``unix://``, and a Sentinel's ``redis+sentinel://`` and
``rediss+sentinel://``, each with ``[user:password@]`` and ``/db``. A password is never part of what is shown.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from stopcast.errors import ConfigurationError

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.sentinel import Sentinel

_SCHEMES: Final = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
#: Whether a certificate is looked at is no option: TLS is always verified.
_OPTIONS: Final = {"db", "password", "sentinel_username", "sentinel_password"}
_TLS_OPTIONS: Final = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_password"}
_SENTINEL_PORT: Final = 26379


def without_secrets(url: str) -> str:
    """Return the URL with whoever logs in, and every password, as ``***``: fit to be shown."""
    return re.sub(r"([?&]\w*password=)[^&]*", r"\1***", re.sub(r"//.*@", "//***@", url, flags=re.DOTALL))


def has_password(url: str) -> bool:
    """Tell whether there is something in the URL that must not be seen."""
    return without_secrets(url) != url


@asynccontextmanager
async def connected(
    url: str, *, timeout_seconds: float, on_connect: Callable[[Any], Awaitable[None]] | None = None
) -> AsyncIterator[Redis]:
    """Yield a client for a URL, and close it. It connects with its first command, and never sends one twice by itself.

    Args:
        url: ``redis://[user:password@]host[:6379][/db]``; ``rediss://`` for TLS, always verified, with
            ``?ssl_ca_certs=FILE`` for an authority of one's own, ``ssl_certfile`` and ``ssl_keyfile`` to be known by;
            ``unix:///socket?db=0``; or ``redis+sentinel://[user:password@]host[:26379],host.../service[/db]``, with
            ``?sentinel_username=`` and ``sentinel_password=`` where the Sentinels want them.
        timeout_seconds: for connecting, and for an answer.
        on_connect: awaited with every new connection, in the place of its handshake, which it has to make.

    Raises:
        ConfigurationError: no such URL, or redis-py is not installed.
    """
    try:
        from redis.asyncio import Redis  # noqa: PLC0415 - an extra, and slow to import
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.exceptions import RedisError  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError("this needs redis-py: pip install 'stopcast[redis]'") from None
    settings: dict[str, Any] = {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        # A connection that was lost is something that both the quota and the queue have to know.
        "retry": Retry(NoBackoff(), 0),
        "redis_connect_func": on_connect,
        "protocol": 2,
    }
    split = _split(url)
    clients: list[Redis]
    if split.scheme.endswith("+sentinel"):
        sentinel, service = _sentinel(split, settings)
        clients = [sentinel.master_for(service), *sentinel.sentinels]
    else:
        clients = [Redis.from_url(url, **settings)]
    try:
        yield clients[0]
    finally:
        for client in clients:
            # Whoever is not there any more needs no farewell.
            with suppress(RedisError, OSError):
                await client.aclose()


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
            f"no address of a Redis: {without_secrets(url)}. It is redis://host:6379/0, rediss:// for TLS, "
            f"unix:///socket, or redis+sentinel://host,host/service; a password with / ? # @ in it has to be "
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
