"""StopWebcast on the wire: where a call goes, what it says, and what an answer says.

Pure: a task becomes bytes, bytes become a reply. Facts and where they come from: the vendor's pages 6348/1178321 and
1178322 (parameters, answers), 6348/69828 (hosts), 6348/1188205 (the version of 2023).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from stopcast.api.signing import canonical_query
from stopcast.credentials.value import REGION_PATTERN
from stopcast.errors import ConfigurationError

ACTION: Final = "StopWebcast"
VERSIONS: Final = ("2020-12-01", "2023-11-01")
DEFAULT_ENDPOINT: Final = "https://rtc.volcengineapi.com"
#: The vendor's hosts with the region that each one's signatures name.
REGIONS: Final[Mapping[str, str]] = {
    "rtc.volcengineapi.com": "cn-north-1",
    # One page of the vendor says ap-southeast-1, its Go SDK and its sample answers ap-singapore-1: hence a setting.
    "open-ap-singapore-1.volcengineapi.com": "ap-singapore-1",
    "open.byteplusapi.com": "ap-singapore-1",
}
_FALLBACK_REGION: Final = "cn-north-1"
_VERSION_PATTERN: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
# Narrower than a URL's grammar: what is signed as the host has to be, letter by letter, what is sent.
_ADDRESS_PATTERN: Final = re.compile(
    rf"(https?)://(?:\[([0-9a-f:.]+)\]|({_LABEL}(?:\.{_LABEL})*))(?::([0-9]{{1,5}}))?/?", re.ASCII | re.IGNORECASE
)
_SCHEME_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}
_LAST_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the calls go. Make one with ``Endpoint.parse``.

    Attributes:
        url: the whole request address, action and version in it.
        host: as it is signed and stands in the Host header, with the port unless that is 80 or 443.
        query: the canonical query string.
        region: that the signature names.
        loopback: whether this machine itself answers, so that no account's quota is at stake.
    """

    url: str
    host: str
    query: str
    region: str
    loopback: bool = field(default=False)

    @classmethod
    def parse(
        cls,
        url: str = DEFAULT_ENDPOINT,
        *,
        region: str | None = None,
        key_region: str | None = None,
        version: str = VERSIONS[0],
    ) -> Endpoint:
        """Check ``url`` (scheme, host, port; no path) and complete it.

        Args:
            url: the address.
            region: that signatures name, whatever else is known.
            key_region: the region that came with the credentials. It is often another service's (VOLCENGINE_REGION is
                shared by all of them), so it counts only where the host is none of the vendor's that are known here.
            version: of the API.

        Raises:
            ConfigurationError: an address that is none, plain http to another machine, or a region or version that
                cannot be one.
        """
        if "@" in url:
            raise ConfigurationError(
                "endpoint: no user and no password belong in it (not shown here); the key comes from the environment, "
                "such as VOLCENGINE_ACCESS_KEY, or from the vendor's files"
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
                f"endpoint {url!r}: there is no such address or port; a port is at most {_LAST_PORT}"
            )
        loopback = host == "localhost" if address is None else address.is_loopback
        if scheme == "http" and not loopback:
            raise ConfigurationError(
                f"endpoint {url!r}: plain http is for loopback only; name it as https://{url.partition('//')[2]}"
            )
        if region and not REGION_PATTERN.fullmatch(region):
            raise ConfigurationError(f"region {region!r}: expected letters, digits and hyphens, such as cn-north-1")
        if not _VERSION_PATTERN.fullmatch(version):
            raise ConfigurationError(f"API version {version!r}: expected a date, such as {VERSIONS[0]}")
        shown = f"[{address}]" if bracketed else host
        query = canonical_query({"Action": ACTION, "Version": version})
        return cls(
            url=f"{scheme}://{shown}{'' if port == _SCHEME_PORTS[scheme] else f':{port}'}/?{query}",
            # The vendor's signers drop 80 and 443 from the host they sign, whatever the scheme.
            host=shown if port in _SCHEME_PORTS.values() else f"{shown}:{port}",
            query=query,
            region=region or REGIONS.get(host) or key_region or _FALLBACK_REGION,
            loopback=loopback,
        )

    def of(self, action: str) -> Endpoint:
        """Return the same place for another action of the API."""
        query = self.query.replace(f"Action={ACTION}", f"Action={action}")
        return replace(self, url=self.url.replace(self.query, query), query=query)


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
