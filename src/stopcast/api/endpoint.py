"""The endpoint: the address of the API, and the host, query and region that signatures use. Nothing is sent here.

Sources: the vendor's pages 6348/1178321 (parameters), 6348/69828 (hosts), 6348/1188205 (the version of 2023).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from stopcast.api.signing import canonical_query
from stopcast.credentials.value import REGION_PATTERN
from stopcast.errors import ConfigurationError

ACTION: Final = "StopWebcast"
VERSIONS: Final = ("2020-12-01", "2023-11-01")
DEFAULT_ENDPOINT: Final = "https://rtc.volcengineapi.com"
#: The vendor's hosts with their signing regions.
REGIONS: Final[Mapping[str, str]] = {
    "rtc.volcengineapi.com": "cn-north-1",
    # One page of the vendor says ap-southeast-1; its Go SDK and sample answers say ap-singapore-1. So it is a setting.
    "open-ap-singapore-1.volcengineapi.com": "ap-singapore-1",
    "open.byteplusapi.com": "ap-singapore-1",
}
_FALLBACK_REGION: Final = "cn-north-1"
_VERSION_PATTERN: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
# Narrower than the grammar of URLs: the signed host has to be exactly the host that is sent.
_ADDRESS_PATTERN: Final = re.compile(
    rf"(https?)://(?:\[([0-9a-f:.]+)\]|({_LABEL}(?:\.{_LABEL})*))(?::([0-9]{{1,5}}))?/?", re.ASCII | re.IGNORECASE
)
_SCHEME_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}
_LAST_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the calls go. Make it with ``Endpoint.parse``.

    Attributes:
        url: the complete request address, including action and version.
        host: as in the signature and the Host header, with the port unless that is 80 or 443.
        query: the canonical query string.
        region: the signing region.
        loopback: whether this machine itself answers, so that no account's quota is used.
    """

    url: str
    host: str
    query: str
    region: str
    loopback: bool = False

    @classmethod
    def parse(
        cls,
        url: str = DEFAULT_ENDPOINT,
        *,
        region: str | None = None,
        key_region: str | None = None,
        version: str = VERSIONS[0],
    ) -> Endpoint:
        """Return the endpoint for an address.

        Args:
            url: scheme, host and port, without a path.
            region: the signing region; it overrides everything else.
            key_region: the region that came with the credentials. It is often another service's, because all services
                share VOLCENGINE_REGION, so it is used only where the host is not one of ``REGIONS``.
            version: of the API.

        Raises:
            ConfigurationError: the address, the region or the version is malformed, or the address is plain http to
                another machine.
        """
        scheme, host, port, loopback = _split(url)
        if region and not REGION_PATTERN.fullmatch(region):
            raise ConfigurationError(f"region {region!r}: expected letters, digits and hyphens, such as cn-north-1")
        if not _VERSION_PATTERN.fullmatch(version):
            raise ConfigurationError(f"API version {version!r}: expected a date, such as {VERSIONS[0]}")
        query = canonical_query({"Action": ACTION, "Version": version})
        return cls(
            url=f"{scheme}://{host}{'' if port == _SCHEME_PORTS[scheme] else f':{port}'}/?{query}",
            # The vendor's signers drop 80 and 443 from the host they sign, whatever the scheme.
            host=host if port in _SCHEME_PORTS.values() else f"{host}:{port}",
            query=query,
            region=region or REGIONS.get(host) or key_region or _FALLBACK_REGION,
            loopback=loopback,
        )

    def of(self, action: str) -> Endpoint:
        """Return the same endpoint for another action of the API."""
        query = self.query.replace(f"Action={ACTION}", f"Action={action}")
        return replace(self, url=self.url.replace(self.query, query), query=query)


def _split(url: str) -> tuple[str, str, int, bool]:
    """Return the scheme, the host as it stands in an address, the port, and whether this machine itself answers.

    Raises:
        ConfigurationError: the address is malformed, or plain http to another machine.
    """
    if "@" in url:
        raise ConfigurationError(
            "endpoint: it must not hold a user or a password (not shown here); put the key into the environment, "
            "such as VOLCENGINE_ACCESS_KEY, or into the vendor's files"
        )
    match = _ADDRESS_PATTERN.fullmatch(url)
    if match is None:
        raise ConfigurationError(
            f"endpoint {url!r}: expected https://HOST[:PORT] and nothing more, such as {DEFAULT_ENDPOINT}"
        )
    scheme, bracketed, name, digits = match.groups()
    scheme, host = scheme.lower(), (bracketed or name).lower()
    port = int(digits) if digits else _SCHEME_PORTS[scheme]
    address = _ip_address(host)
    if (bracketed and not isinstance(address, ipaddress.IPv6Address)) or not 0 < port <= _LAST_PORT:
        raise ConfigurationError(
            f"endpoint {url!r}: the address or the port is not valid; a port is at most {_LAST_PORT}"
        )
    loopback = host == "localhost" if address is None else address.is_loopback
    if scheme == "http" and not loopback:
        raise ConfigurationError(
            f"endpoint {url!r}: plain http is allowed to loopback only; use https://{url.partition('//')[2]}"
        )
    return scheme, f"[{address}]" if bracketed else host, port, loopback


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
