"""The doctor's checks of the way to the API: the host's addresses, the port, TLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from stopcast.sandbox import Emulator
from stopcast.sandbox.thread import serving
from support.findings import failed, findings
from support.processes import Shell


def test_a_host_without_an_address_fails_and_what_depends_on_it_is_not_tried(shell: Shell) -> None:
    ended = shell.run("doctor", "--endpoint", "https://no-such-host.invalid", "--json")
    assert failed(ended) in ({"addresses"}, {"connection"})  # the latter where DNS does not answer at all
    found = findings(ended)
    assert {found[part]["state"] for part in ("clock", "key accepted")} == {"not tried"}


def test_a_refused_connection_fails(shell: Shell) -> None:
    ended = shell.run("doctor", "--endpoint", "http://127.0.0.1:9", "--json")
    assert failed(ended) == {"connection"}
    assert "refused" in findings(ended)["connection"]["words"]


@pytest.fixture
def authority() -> trustme.CA:
    """A certificate authority that is not trusted by default."""
    return trustme.CA()


@pytest.fixture
def secure_api(authority: trustme.CA) -> Iterator[Emulator]:
    """Serves an emulator with TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    with serving(Emulator(ssl_context=context, host="127.0.0.1")) as emulator:
        yield emulator


def test_a_certificate_is_shown_if_it_is_trusted_and_fails_if_it_is_not(
    shell: Shell, secure_api: Emulator, authority: trustme.CA, tmp_path: Path
) -> None:
    url = secure_api.url.replace("127.0.0.1", "localhost")
    ended = shell.run("doctor", "--endpoint", url, "--json")
    assert failed(ended) == {"TLS"}
    assert "SSL_CERT_FILE" in findings(ended)["TLS"]["advice"]
    assert secure_api.calls == 0
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    shell.variables["SSL_CERT_FILE"] = str(tmp_path / "ca.pem")
    ended = shell.run("doctor", "--endpoint", url, "--json")
    assert failed(ended) == set()
    assert findings(ended)["TLS"]["words"].startswith("TLSv1.")


def test_a_certificate_that_is_out_of_date_by_this_machine_s_clock_fails_with_the_clock_s_time(
    shell: Shell, authority: trustme.CA, tmp_path: Path
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    january, february = datetime(2001, 1, 1, tzinfo=UTC), datetime(2001, 2, 1, tzinfo=UTC)
    authority.issue_cert("localhost", not_before=january, not_after=february).configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    shell.variables["SSL_CERT_FILE"] = str(tmp_path / "ca.pem")
    with serving(Emulator(ssl_context=context, host="127.0.0.1")) as emulator:
        ended = shell.run("doctor", "--endpoint", emulator.url.replace("127.0.0.1", "localhost"), "--json")
    assert failed(ended) == {"TLS"}
    advice = findings(ended)["TLS"]["advice"]
    assert f"By this machine's clock it is {datetime.now(UTC):%Y-}" in advice
    assert "ca-certificates" not in advice


def test_a_port_without_tls_fails_with_that_reason(shell: Shell, api: Emulator) -> None:
    ended = shell.run("doctor", "--endpoint", api.url.replace("http:", "https:"), "--json")
    assert failed(ended) == {"TLS"}
    assert "does not speak TLS" in findings(ended)["TLS"]["words"]
