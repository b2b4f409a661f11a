"""The signature of Volcengine's open API: HMAC-SHA256, much like AWS's version 4.

It differs from AWS's in three points: the algorithm's name is ``HMAC-SHA256``, the scope ends in ``request``, and the
key chain starts from the bare secret. Time and secret are arguments; nothing here reads a clock. Source: the vendor's
own signers (``volcengine.auth.SignerV4``, ``volcenginesdkcore.signv4.SignerV4``).
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote

from stopcast.credentials.value import Credentials
from stopcast.ports import Request

ALGORITHM: Final = "HMAC-SHA256"
SERVICE: Final = "rtc"
CONTENT_TYPE: Final = "application/json"
#: A signature is accepted for this many seconds after its X-Date.
SIGNATURE_LIFETIME: Final = 900
#: SHA-256's block in bytes, and HMAC's two pads as tables for ``bytes.translate``.
_BLOCK: Final = 64
_INNER_PAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD: Final = bytes(byte ^ 0x5C for byte in range(256))


def canonical_query(parameters: Mapping[str, str]) -> str:
    """Return the query string as it is signed and sent: encoded by RFC 3986, then sorted."""
    encoded = [(quote(key, safe="-_.~"), quote(value, safe="-_.~")) for key, value in parameters.items()]
    return "&".join(f"{key}={value}" for key, value in sorted(encoded))


def signing_key(secret_key: str, day: str, region: str) -> bytes:
    """Return the key of one UTC day (``yyyymmdd``) and one region."""
    key = secret_key.encode()
    for part in (day, region, SERVICE, "request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def signature(
    *, key: bytes, method: str, path: str, query: str, headers: Mapping[str, str], scope: str, body_sha256: str
) -> str:
    """Return the signature in hex. It covers exactly these headers; names are in lower case and include ``x-date``."""
    names = sorted(headers)
    lines = "".join(f"{name}:{headers[name]}\n" for name in names)
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{';'.join(names)}\n{body_sha256}"
    to_sign = f"{ALGORITHM}\n{headers['x-date']}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


class Signer:
    """Signs requests of one action to one host with one key.

    Hashes of the parts that are the same for all calls, for a day, or for a second are kept, and each call continues
    from a copy. The standard library's ``hmac`` hashes the key twice for every message, which is half of a signature's
    time.
    """

    __slots__ = (
        "_access_key",
        "_authorization",
        "_day",
        "_head",
        "_headers",
        "_inner",
        "_keyed",
        "_method",
        "_middle",
        "_names",
        "_outer",
        "_query",
        "_region",
        "_second",
        "_secret_key",
        "_token_line",
        "token",
    )

    def __init__(self, credentials: Credentials, *, host: str, region: str, query: str, method: str = "POST") -> None:
        """Prepare for ``host`` as it stands in the Host header, and ``query`` as ``canonical_query`` returns it."""
        self._access_key = credentials.access_key
        self._secret_key = credentials.secret_key
        self._region = region
        # Host is set here so that the signed host is the one that is sent, whatever the HTTP client makes of the URL.
        self._headers = {"Content-Type": CONTENT_TYPE, "Host": host}
        self._names = "content-type;host;x-content-sha256;x-date"
        #: The session token, None where there is none. Of the secrets, the only one that is sent.
        self.token = credentials.session_token or None
        self._token_line = ""
        if credentials.session_token:
            self._headers["X-Security-Token"] = credentials.session_token
            self._names += ";x-security-token"
            self._token_line = f"x-security-token:{credentials.session_token}\n"
        self._method = method
        self._query = query
        self._head = self._head_of(query)
        self._day = ""
        self._turn_second(0)

    def _head_of(self, query: str) -> Any:
        """Return a hash of the canonical request up to the body's hash."""
        host = self._headers["Host"]
        head = f"{self._method}\n/\n{query}\ncontent-type:{CONTENT_TYPE}\nhost:{host}\nx-content-sha256:"
        return sha256(head.encode())

    def _turn_second(self, second: int) -> None:
        x_date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        day = x_date[:8]
        scope = f"{day}/{self._region}/{SERVICE}/request"
        if day != self._day:
            self._day = day
            # RFC 2104: HMAC is H(key ^ opad, H(key ^ ipad, message)); the key is padded with zeros to a block.
            key = signing_key(self._secret_key, day, self._region).ljust(_BLOCK, b"\0")
            self._keyed = sha256(key.translate(_INNER_PAD))
            self._outer = sha256(key.translate(_OUTER_PAD))
            credential = f"{self._access_key}/{scope}"
            self._authorization = f"{ALGORITHM} Credential={credential}, SignedHeaders={self._names}, Signature="
        self._second = second
        self._headers["X-Date"] = x_date
        # The canonical request between the two places where the body's hash is.
        self._middle = f"\nx-date:{x_date}\n{self._token_line}\n{self._names}\n"
        self._inner = self._keyed.copy()
        self._inner.update(f"{ALGORITHM}\n{x_date}\n{scope}\n".encode())

    def sign(self, request: Request, at: float) -> dict[str, str]:
        """Return the headers to send with the request, signed for the Unix time ``at``.

        A request whose query is not the one that the signer was made for takes longer to sign.
        """
        second = int(at)
        if second != self._second:
            self._turn_second(second)
        body_sha256 = sha256(request.body).hexdigest()
        same_query = request.query == self._query
        canonical = self._head.copy() if same_query else self._head_of(request.query)
        canonical.update(f"{body_sha256}{self._middle}{body_sha256}".encode())
        inner = self._inner.copy()
        inner.update(canonical.hexdigest().encode())
        outer = self._outer.copy()
        outer.update(inner.digest())
        headers = self._headers.copy()
        headers["X-Content-Sha256"] = body_sha256
        headers["Authorization"] = self._authorization + outer.hexdigest()
        return headers
