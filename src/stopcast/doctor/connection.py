"""The way to the API: its name's addresses, and a connection."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import socket
import ssl
from pathlib import Path
from typing import Final

from stopcast.doctor.findings import Finding, State

NO_WAY: Final = "Check this machine's network and firewall for HTTPS out; proxies are not used (HTTPS_PROXY is ignored)"


async def find_addresses(host: str, port: int) -> Finding:
    """Return the addresses that the name stands for."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        words = f"{host} has no address: {error.strerror or error}"
        return Finding("addresses", State.FAILED, words, "Check the name, the network, and DNS (/etc/resolv.conf)")
    return Finding("addresses", State.OK, ", ".join(dict.fromkeys(str(address[4][0]) for address in found)))


async def connect(host: str, port: int, *, secure: bool) -> Finding:
    """Return what a connection meets; with ``secure`` the other side's certificate is verified as a run does it."""
    context = ssl.create_default_context() if secure else None
    try:
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLCertVerificationError as error:
        words = f"the certificate of {host} is not to be trusted: {error.verify_message}"
        advice = "Nothing is sent there. Install the certificate authorities (ca-certificates), or name the one of a "
        return Finding("TLS", State.FAILED, words, advice + "company's proxy: export SSL_CERT_FILE=its.pem")
    except ssl.SSLError as error:
        words = f"port {port} of {host} does not speak TLS as it should: {error.reason or error}"
        return Finding("TLS", State.FAILED, words, "Check the port of --endpoint, and what stands in between")
    except OSError as error:
        words = f"no connection to port {port} of {host}: {os.strerror(error.errno) if error.errno else error}"
        return Finding("connection", State.FAILED, words, NO_WAY)
    tls = writer.get_extra_info("ssl_object")
    writer.close()
    if tls is None:
        return Finding("connection", State.OK, "plain HTTP, within this machine")
    certificate = tls.getpeercert() or {}
    issuer = dict(pair for part in certificate.get("issuer", ()) for pair in part)
    by = issuer.get("organizationName") or issuer.get("commonName") or "an authority without a name"
    return Finding("TLS", State.OK, f"{tls.version()}, certificate by {by}, until {certificate.get('notAfter')}")


_LINE_BYTES: Final = 350


_LEAST_FREE: Final = 50 << 20


def room_for(report: Path) -> Finding:
    """Return whether a report can be written there: the folder, and how many lines it has room for."""
    folder = report.parent
    try:
        if not folder.is_dir():
            words = f"the folder {folder} does not exist"
            return Finding("report", State.FAILED, words, f"mkdir -p {shlex.quote(str(folder))}")
        probe = folder / f".{report.name}.doctor"
        try:
            probe.write_bytes(b"")
        finally:
            probe.unlink(missing_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        words = f"{folder.absolute()} cannot be written to: {error.strerror}"
        return Finding("report", State.FAILED, words, "Name a report elsewhere: -o PATH")
    words = f"{folder.absolute()} has room for {free // _LINE_BYTES:,} lines ({free / (1 << 30):.1f} GB)"
    if free < _LEAST_FREE:
        return Finding("report", State.FAILED, words, "Make room, or name a report elsewhere: -o PATH")
    if report.exists():
        return Finding("report", State.WARNING, f"{report} exists; {words}", "Go on with it: --resume. Or -o PATH")
    return Finding("report", State.OK, words)
