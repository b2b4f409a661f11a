"""TLS: which certificates are accepted."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from stopcast import EndpointError, Status, Stopper, Task
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator, Faults

TASK = Task("app", "room", "task")


# TLS


def server_tls(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_a_certificate_of_an_unknown_authority_ends_the_calls() -> None:
    async with Emulator(ssl_context=server_tls(trustme.CA())) as emulator:
        with pytest.raises(EndpointError, match="certificate"):
            async with Stopper(SANDBOX_CREDENTIALS, endpoint=emulator.url) as stopper:
                await stopper.stop(TASK)
        assert emulator.calls == 0


async def test_a_certificate_for_another_name_ends_the_calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    async with Emulator(ssl_context=server_tls(authority, "example.com")) as emulator:
        with pytest.raises(EndpointError, match="certificate"):
            async with Stopper(SANDBOX_CREDENTIALS, endpoint=emulator.url) as stopper:
                await stopper.stop(TASK)
        assert emulator.calls == 0


async def test_a_certificate_of_an_authority_in_ssl_cert_file_is_accepted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    async with (
        Emulator(ssl_context=server_tls(authority), faults=Faults({"reset_after": [TASK]})) as emulator,
        Stopper(SANDBOX_CREDENTIALS, endpoint=emulator.url) as stopper,
    ):
        outcome = await stopper.stop(TASK)
    assert outcome.status is Status.PRESUMED_STOPPED
    assert emulator.stopped == {TASK}
