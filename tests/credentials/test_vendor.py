"""The vendor's own credential providers, which really ask a server on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from stopcast import CredentialsUnavailableError, Status, Stopper, Task
from stopcast.credentials.chain import find_credentials
from stopcast.credentials.places import Search
from stopcast.credentials.vendor import VolcProvider, profile_provider
from stopcast.sandbox import Emulator

SECRET = "hunter2"


class Issuer:
    """A server that issues temporary credentials, in the form of the vendor's STS and of its login."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refused = False
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
                issuer.asked.append(body)
                status, answer = issuer.answer()
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST  # noqa: N815 - the name that http.server looks for

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def key(self) -> dict[str, str]:
        number = len(self.asked)
        return {"ak": f"AK{number}", "sk": f"{SECRET}-{number}", "token": f"token-{number}"}

    def answer(self) -> tuple[int, dict[str, Any]]:
        if self.refused:
            return 400, {"error": "invalid_request", "ResponseMetadata": {"Error": {"Code": "AccessDenied"}}}
        key = self.key
        expires_at = datetime.fromtimestamp(time.time() + 600, UTC).isoformat()
        login = {"access_key_id": key["ak"], "secret_access_key": key["sk"], "session_token": key["token"]}
        credentials = {"AccessKeyId": key["ak"], "SecretAccessKey": key["sk"], "SessionToken": key["token"]}
        return 200, {
            "ResponseMetadata": {},
            "Result": {"Credentials": {**credentials, "Expiration": expires_at, "ExpiredTime": expires_at}},
            "access_token": json.dumps(login),
            "expires_in": 600,
            "refresh_token": f"refresh-{len(self.asked)}",
        }


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.close()


def oidc(issuer: Issuer, tmp_path: Path) -> VolcProvider:
    """Return the vendor's OIDC provider: a token in a file, exchanged for a role's credentials."""
    from volcenginesdkcore.auth.providers import StsOidcCredentialProvider

    token = tmp_path / "token"
    token.write_text("an-oidc-token")
    return VolcProvider(
        lambda: StsOidcCredentialProvider(
            role_trn="trn:iam::1:role/r", oidc_token_file=str(token), host=issuer.host, scheme="http"
        )
    )


def assume_role(issuer: Issuer) -> VolcProvider:
    from volcenginesdkcore.auth.providers import StsCredentialProvider

    return VolcProvider(
        lambda: StsCredentialProvider(
            ak="AK", sk=SECRET, role_name="r", account_id="1", host=issuer.host, scheme="http", max_retries=1
        )
    )


def console_login(issuer: Issuer, home: Path) -> Path:
    """Write a profile of ``ve login`` whose token has expired, and return the file of profiles."""
    config = home / ".volcengine" / "config.json"
    cache = config.parent / "login" / "cache" / f"{hashlib.sha1(b'session').hexdigest()}.json"
    cache.parent.mkdir(parents=True)
    cache.write_text(
        json.dumps(
            {
                "issued_at": "2020-01-01T00:00:00Z",
                "expires_in": 600,
                "access_token": "{}",
                "refresh_token": "refresh-0",
                "client_id": "client",
                "endpoint_url": f"http://{issuer.host}",
            }
        )
    )
    config.write_text(json.dumps({"profiles": {"default": {"mode": "console-login", "login-session": "session"}}}))
    config.chmod(0o600)
    return config


@pytest.mark.parametrize("kind", ["oidc", "assume role"])
async def test_the_vendor_s_provider_returns_new_credentials_with_their_expiry_each_time(
    issuer: Issuer, tmp_path: Path, kind: str
) -> None:
    provider = oidc(issuer, tmp_path) if kind == "oidc" else assume_role(issuer)
    first, second = await provider(), await provider()

    assert (first.access_key, first.secret_key, first.session_token) == ("AK1", f"{SECRET}-1", "token-1")
    assert second.access_key == "AK2"
    assert first.expires_at == pytest.approx(time.time() + 600, abs=30)


async def test_a_login_is_refreshed_with_the_latest_refresh_token(issuer: Issuer, tmp_path: Path) -> None:
    config = console_login(issuer, tmp_path)
    look = find_credentials(Search({}, tmp_path))
    assert look.provider is not None
    credentials = await look.provider()
    assert (credentials.access_key, credentials.source) == ("AK1", "~/.volcengine/config.json, profile default")
    assert credentials.expires_at == pytest.approx(time.time() + 600, abs=30)
    # It keeps them while they live, as another exchange would use its refresh token up.
    assert (await look.provider()).access_key == "AK1"
    assert [asked.count("refresh-0") for asked in issuer.asked] == [1]

    other = profile_provider("default", "console-login", config, source="the file")
    assert (await other()).access_key == "AK2"


async def test_a_provider_without_credentials_is_an_error_without_a_secret(issuer: Issuer, tmp_path: Path) -> None:
    console_login(issuer, tmp_path)
    issuer.refused = True
    look = find_credentials(Search({}, tmp_path))
    assert look.provider is not None
    with pytest.raises(CredentialsUnavailableError, match=r"profile default: .*console-login refresh failed") as error:
        await look.provider()
    assert SECRET not in str(error.value)
    assert error.value.__cause__ is None


async def test_the_event_loop_goes_on_while_the_provider_blocks() -> None:
    asked, may_answer = threading.Event(), threading.Event()

    class Slow:
        def get_credentials(self) -> Any:
            asked.set()
            may_answer.wait(20)
            raise RuntimeError(f"parsing failed: raw={SECRET}")

    asking = asyncio.create_task(VolcProvider(Slow)())
    while not asked.is_set():
        await asyncio.sleep(0)
    may_answer.set()
    with pytest.raises(CredentialsUnavailableError, match=r"the vendor's provider: parsing failed:$"):
        await asking


async def test_a_stopper_signs_with_the_credentials_of_the_vendor_s_provider(issuer: Issuer, tmp_path: Path) -> None:
    given = []

    async def provider() -> Any:
        given.append(await oidc(issuer, tmp_path)())
        emulator.credentials = given[-1]
        return given[-1]

    async with Emulator() as emulator, Stopper(provider, endpoint=emulator.url) as stopper:
        assert (await stopper.stop(Task("app", "room", "task"))).status is Status.STOPPED
    assert given[0].session_token == "token-1"
