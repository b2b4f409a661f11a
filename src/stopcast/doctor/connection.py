"""Checks of the connection to the API. No call of the API is made here."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from typing import Final

from stopcast.doctor.findings import Finding, FindingState
from stopcast.i18n import _

#: OpenSSL's codes for a certificate that is not valid yet, and for one that has expired.
_DATES: Final = frozenset({9, 10})


def network_advice() -> str:
    """Return the advice where the API cannot be reached."""
    return _(
        "Check that this machine's network and firewall let HTTPS out. Name a proxy by --proxy: HTTPS_PROXY is ignored"
    )


async def find_addresses(host: str, port: int) -> Finding:
    """Check that the host's name has addresses."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        words = _("{host} has no address: {reason}", host=host, reason=error.strerror or error)
        advice = _("Check the name, the network, and DNS (/etc/resolv.conf)")
        return Finding(_("addresses"), FindingState.FAILED, words, advice)
    addresses = ", ".join(dict.fromkeys(str(address[4][0]) for address in found))
    return Finding(_("addresses"), FindingState.OK, addresses)


def _advice(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _DATES:
        return _(
            "Nothing is sent there. By this machine's clock it is {now}. If that is wrong, set the clock: timedatectl "
            "set-ntp true. If it is right, the certificate has to be renewed",
            now=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )
    return _(
        "Nothing is sent there. Install the certificate authorities (ca-certificates), or name the certificate "
        "of your company's proxy: export SSL_CERT_FILE=its.pem"
    )


async def connect(host: str, port: int, *, secure: bool) -> Finding:
    """Check that a connection can be opened; with ``secure``, verify the certificate as a run does."""
    context = ssl.create_default_context() if secure else None
    try:
        _reader, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLCertVerificationError as error:
        words = _("the certificate of {host} is not trusted: {reason}", host=host, reason=error.verify_message)
        return Finding("TLS", FindingState.FAILED, words, _advice(error))
    except ssl.SSLError as error:
        words = _(
            "port {port} of {host} does not speak TLS as it should: {reason}",
            port=port,
            host=host,
            reason=error.reason or error,
        )
        return Finding("TLS", FindingState.FAILED, words, _("Check the port of --endpoint, and the proxies on the way"))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        words = _("no connection to port {port} of {host}: {reason}", port=port, host=host, reason=reason)
        return Finding(_("connection"), FindingState.FAILED, words, network_advice())
    tls = writer.get_extra_info("ssl_object")
    writer.close()
    if tls is None:
        return Finding(_("connection"), FindingState.OK, _("plain HTTP, within this machine"))
    certificate = tls.getpeercert() or {}
    issuer = dict(pair for part in certificate.get("issuer", ()) for pair in part)
    words = _(
        "{version}, certificate by {issuer}, until {end}",
        version=tls.version(),
        issuer=issuer.get("organizationName") or issuer.get("commonName") or _("an authority without a name"),
        end=certificate.get("notAfter"),
    )
    return Finding("TLS", FindingState.OK, words)
