"""Checks of the connection to the API and of the folder of the report. No call of the API is made here."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import socket
import ssl
from pathlib import Path
from typing import Final

from stopcast.doctor.findings import Finding, FindingState

CHECK_NETWORK: Final = (
    "Check that this machine's network and firewall let HTTPS out; proxies are not used (HTTPS_PROXY is ignored)"
)
#: The usual length of a report's line.
_LINE_BYTES: Final = 350
_LEAST_FREE_BYTES: Final = 50 << 20


async def find_addresses(host: str, port: int) -> Finding:
    """Check that the host's name has addresses."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        words = f"{host} has no address: {error.strerror or error}"
        advice = "Check the name, the network, and DNS (/etc/resolv.conf)"
        return Finding("addresses", FindingState.FAILED, words, advice)
    addresses = ", ".join(dict.fromkeys(str(address[4][0]) for address in found))
    return Finding("addresses", FindingState.OK, addresses)


async def connect(host: str, port: int, *, secure: bool) -> Finding:
    """Check that a connection can be opened; with ``secure``, verify the certificate as a run does."""
    context = ssl.create_default_context() if secure else None
    try:
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLCertVerificationError as error:
        words = f"the certificate of {host} is not trusted: {error.verify_message}"
        advice = (
            "Nothing is sent there. Install the certificate authorities (ca-certificates), or name the certificate "
            "of your company's proxy: export SSL_CERT_FILE=its.pem"
        )
        return Finding("TLS", FindingState.FAILED, words, advice)
    except ssl.SSLError as error:
        words = f"port {port} of {host} does not speak TLS as it should: {error.reason or error}"
        return Finding("TLS", FindingState.FAILED, words, "Check the port of --endpoint, and the proxies on the way")
    except OSError as error:
        words = f"no connection to port {port} of {host}: {os.strerror(error.errno) if error.errno else error}"
        return Finding("connection", FindingState.FAILED, words, CHECK_NETWORK)
    tls = writer.get_extra_info("ssl_object")
    writer.close()
    if tls is None:
        return Finding("connection", FindingState.OK, "plain HTTP, within this machine")
    certificate = tls.getpeercert() or {}
    issuer = dict(pair for part in certificate.get("issuer", ()) for pair in part)
    name = issuer.get("organizationName") or issuer.get("commonName") or "an authority without a name"
    words = f"{tls.version()}, certificate by {name}, until {certificate.get('notAfter')}"
    return Finding("TLS", FindingState.OK, words)


def check_report(report: Path) -> Finding:
    """Check that the report's folder can be written to and has room."""
    folder = report.parent
    try:
        if not folder.is_dir():
            words = f"the folder {folder} does not exist"
            return Finding("report", FindingState.FAILED, words, f"mkdir -p {shlex.quote(str(folder))}")
        probe = folder / f".{report.name}.doctor"
        try:
            probe.write_bytes(b"")
        finally:
            probe.unlink(missing_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        words = f"{folder.absolute()} cannot be written to: {error.strerror}"
        return Finding("report", FindingState.FAILED, words, "Name a report elsewhere: -o PATH")
    words = f"{folder.absolute()} has room for {free // _LINE_BYTES:,} lines ({free / (1 << 30):.1f} GB)"
    if free < _LEAST_FREE_BYTES:
        return Finding("report", FindingState.FAILED, words, "Make room, or name a report elsewhere: -o PATH")
    if report.exists():
        advice = "Continue it with --resume, or name another one: -o PATH"
        return Finding("report", FindingState.WARNING, f"{report} exists; {words}", advice)
    return Finding("report", FindingState.OK, words)
