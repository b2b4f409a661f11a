"""The signature of Volcengine's open API: HMAC-SHA256, much like AWS's version 4.

It differs from AWS's in three places: the algorithm's name is ``HMAC-SHA256``, the scope ends in ``request``, and the
key chain starts from the bare secret. Time and secret are arguments; nothing here reads a clock. Source of the facts:
the vendor's own signers (``volcengine.auth.SignerV4``, ``volcenginesdkcore.signv4.SignerV4``).
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Final
from urllib.parse import quote

from stopcast.credentials import Credentials

ALGORITHM: Final = "HMAC-SHA256"
SERVICE: Final = "rtc"
CONTENT_TYPE: Final = "application/json"
#: Seconds that a signature is accepted after its X-Date.
SIGNATURE_LIFETIME: Final = 900


def canonical_query(parameters: Mapping[str, str]) -> str:
    """Return the query string as it is signed and sent: encoded as RFC 3986 has it, then sorted."""
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
    """Return the signature in hex over exactly these headers, their names in lower case, ``x-date`` among them."""
    names = sorted(headers)
    lines = "".join(f"{name}:{headers[name]}\n" for name in names)
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{';'.join(names)}\n{body_sha256}"
    to_sign = f"{ALGORITHM}\n{headers['x-date']}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


class Signer:
    """Signs the bodies of one action at one host with one key.

    What is the same for all calls is made once, what is the same for a day or a second is kept: a signature costs two
    hashes of the body and the request, and one HMAC.
    """

    __slots__ = (
        "_access_key",
        "_authorization",
        "_head",
        "_key",
        "_names",
        "_region",
        "_second",
        "_secret_key",
        "_static_headers",
        "_tail",
        "_to_sign",
        "_x_date",
    )

    def __init__(self, credentials: Credentials, *, host: str, region: str, query: str, method: str = "POST") -> None:
        """Prepare for ``host`` as it stands in the Host header, and ``query`` as ``canonical_query`` returns it."""
        self._access_key = credentials.access_key
        self._secret_key = credentials.secret_key
        self._region = region
        # Host is among the headers so that what is signed is what is sent, whatever the HTTP client makes of the URL.
        self._static_headers = {"Content-Type": CONTENT_TYPE, "Host": host}
        self._names = "content-type;host;x-content-sha256;x-date"
        token_line = ""
        if credentials.session_token:
            self._static_headers["X-Security-Token"] = credentials.session_token
            self._names += ";x-security-token"
            token_line = f"x-security-token:{credentials.session_token}\n"
        # Around the body's hash and the date, the canonical request is always the same.
        self._head = f"{method}\n/\n{query}\ncontent-type:{CONTENT_TYPE}\nhost:{host}\nx-content-sha256:"
        self._tail = f"{token_line}\n{self._names}\n"
        self._x_date = ""
        self._turn_second(0)

    def _turn_second(self, second: int) -> None:
        x_date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        day = x_date[:8]
        scope = f"{day}/{self._region}/{SERVICE}/request"
        if day != self._x_date[:8]:
            self._key = signing_key(self._secret_key, day, self._region)
            credential = f"{self._access_key}/{scope}"
            self._authorization = f"{ALGORITHM} Credential={credential}, SignedHeaders={self._names}, Signature="
        self._second = second
        self._x_date = x_date
        self._to_sign = f"{ALGORITHM}\n{x_date}\n{scope}\n"

    def sign(self, body: bytes, at: float) -> dict[str, str]:
        """Return the headers to send with ``body``, signed for the Unix time ``at`` in seconds."""
        second = int(at)
        if second != self._second:
            self._turn_second(second)
        x_date = self._x_date
        body_sha256 = sha256(body).hexdigest()
        canonical = f"{self._head}{body_sha256}\nx-date:{x_date}\n{self._tail}{body_sha256}"
        to_sign = self._to_sign + sha256(canonical.encode()).hexdigest()
        return {
            **self._static_headers,
            "X-Content-Sha256": body_sha256,
            "X-Date": x_date,
            "Authorization": self._authorization + hmac.digest(self._key, to_sign.encode(), "sha256").hex(),
        }
