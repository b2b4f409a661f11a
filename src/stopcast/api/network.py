"""How a connection to the endpoint is made: through a proxy, by which authorities, and by whose connector."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self, TypeAlias
from urllib.parse import unquote, urlsplit

from stopcast.errors import ConfigurationError

if TYPE_CHECKING:
    import aiohttp

ConnectorFactory: TypeAlias = "Callable[[], aiohttp.BaseConnector]"
_EXAMPLE: Final = "http://proxy.example:3128"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy that is asked by CONNECT.

    Attributes:
        url: its address, without user and password.
        authorization: the header with user and password, None where the address holds none.
        loopback: whether it runs on this machine.
    """

    url: str
    authorization: str | None = field(default=None, repr=False)
    loopback: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the proxy for an address such as ``http://user:password@proxy:3128``.

        Raises:
            ConfigurationError: it is no such address. It is not shown: it may hold a password.
        """
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ConfigurationError(f"proxy: this is no address (not shown here); expected {_EXAMPLE}") from None
        if parts.scheme != "http":
            shown = parts.scheme if parts.scheme.isalnum() and "://" in text else "no scheme"
            raise ConfigurationError(
                f"proxy: expected an address that begins with http://, such as {_EXAMPLE}; this one has {shown}. "
                f"The calls themselves are encrypted on their way through it"
            )
        if not host or parts.path not in {"", "/"} or parts.query or parts.fragment or not host.isprintable():
            raise ConfigurationError(f"proxy: expected a host and a port and nothing more, such as {_EXAMPLE}")
        shown_host = f"[{host}]" if ":" in host else host
        return cls(
            f"http://{shown_host}:{port or 80}",
            None if parts.username is None else _basic(unquote(parts.username), unquote(parts.password or "")),
            host in _LOOPBACK,
        )

    @property
    def shown(self) -> str:
        """The address as it may be shown and logged."""
        return self.url if self.authorization is None else self.url.replace("://", "://***@", 1)


def _basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


@dataclass(frozen=True, slots=True)
class Network:
    """How connections to the endpoint are made. The defaults are: directly, and by the system's authorities.

    Attributes:
        proxy: what the connections go through.
        ssl_context: what verifies the endpoint's certificate.
        connector: makes the aiohttp connector.
    """

    proxy: Proxy | None = None
    ssl_context: ssl.SSLContext | None = None
    connector: ConnectorFactory | None = None

    @classmethod
    def of(
        cls,
        *,
        proxy: str | Proxy | None,
        ssl_context: ssl.SSLContext | None,
        connector: ConnectorFactory | None,
        secure: bool,
        loopback: bool,
    ) -> Self:
        """Check the settings for an endpoint that is reached by https or not, and is this machine itself or not.

        Raises:
            ConfigurationError: one of them cannot be used.
        """
        if isinstance(proxy, str):
            proxy = Proxy.parse(proxy)
        if proxy is not None and not isinstance(proxy, Proxy):
            raise ConfigurationError(f"proxy must be an address such as {_EXAMPLE}, not {type(proxy).__name__}")
        if proxy is not None and not secure and not proxy.loopback:
            raise ConfigurationError("proxy: it would read plain http; use an https endpoint with a proxy")
        if ssl_context is not None:
            _check_context(ssl_context, loopback=loopback)
        if connector is not None and not callable(connector):
            raise ConfigurationError(
                f"connector must be a function that returns an aiohttp connector, not {type(connector).__name__}"
            )
        return cls(proxy, ssl_context, connector)


def _check_context(context: object, *, loopback: bool) -> None:
    if not isinstance(context, ssl.SSLContext):
        raise ConfigurationError(f"ssl must be an ssl.SSLContext, not {type(context).__name__}")
    if not loopback and (context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname):
        raise ConfigurationError("ssl: this context does not verify the endpoint's certificate and name")
