from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import trustme
from redis import exceptions
from redis.exceptions import AuthenticationError, NoPermissionError

from stopcast.errors import ConfigurationError
from stopcast.fleet.connection import connected, refuses_access, without_secrets
from support.redis_server import RedisServer, free_port


async def answer(url: str) -> str:
    async with connected(url, timeout_seconds=5.0) as client:
        await client.set("key", "value")
        value = await client.get("key")
        assert isinstance(value, bytes)
        return value.decode()


@contextmanager
def running(directory: Path, *options: str, config: Path | None = None) -> Iterator[RedisServer]:
    directory.mkdir(exist_ok=True)
    server = RedisServer(directory, *options, config=config)
    server.start()
    try:
        yield server
    finally:
        server.kill()


async def test_a_plain_address_reaches_the_server(redis_url: str) -> None:
    assert await answer(redis_url) == "value"


@pytest.mark.redis
async def test_a_unix_socket_is_an_address(tmp_path: Path) -> None:
    with running(tmp_path / "r", "--unixsocket", str(tmp_path / "s")):
        assert await answer(f"unix://{tmp_path}/s?db=1") == "value"


@pytest.mark.redis
async def test_a_password_in_the_address_opens_the_server_and_a_wrong_one_does_not(tmp_path: Path) -> None:
    with running(tmp_path / "r", "--requirepass", "a/b@c") as server:
        assert await answer(f"redis://:a%2Fb%40c@127.0.0.1:{server.port}") == "value"
        with pytest.raises(AuthenticationError):
            await answer(f"redis://:other@127.0.0.1:{server.port}")


async def test_a_user_of_the_access_control_list_is_who_the_address_says(redis_server: RedisServer) -> None:
    allowed = ("on", ">word", "~key", "+set", "+get")
    assert redis_server.ask("ACL", "SETUSER", "worker", *allowed) == "OK"
    assert await answer(f"redis://worker:word@127.0.0.1:{redis_server.port}/0") == "value"
    redis_server.ask("ACL", "SETUSER", "worker", "-get")
    with pytest.raises(NoPermissionError):
        await answer(f"redis://worker:word@127.0.0.1:{redis_server.port}/0")


async def test_a_refused_login_is_known_as_one_over_every_way(tmp_path: Path) -> None:
    socket = tmp_path / "s"
    with running(tmp_path / "redis", "--requirepass", "secret", "--unixsocket", str(socket)) as server:
        for url in (server.url.replace("//", "//:wrong@"), f"unix://:wrong@{socket}"):
            with pytest.raises(exceptions.ConnectionError) as refused:
                await answer(url)
            assert refuses_access(refused.value)


@asynccontextmanager
async def behind_tls(port: int, certificate: trustme.LeafCert) -> AsyncIterator[int]:
    """Open a port that speaks TLS and hands what it gets to ``port``."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while piece := await source.read(65536):
            target.write(piece)
        target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def test_tls_is_spoken_where_the_address_says_so_and_the_certificate_is_always_looked_at(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    async with behind_tls(redis_server.port, authority.issue_cert("127.0.0.1")) as port:
        assert await answer(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={tmp_path}/authority.pem") == "value"
        with pytest.raises(exceptions.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
            await answer(f"rediss://127.0.0.1:{port}/0")
    with pytest.raises(ConfigurationError):
        await answer("rediss://127.0.0.1/0?ssl_cert_reqs=none")


async def test_sentinels_name_the_master(redis_server: RedisServer, tmp_path: Path) -> None:
    config = tmp_path / "sentinel.conf"
    config.write_text(f"sentinel monitor account 127.0.0.1 {redis_server.port} 1\n")
    directory = tmp_path / "s"
    directory.mkdir()
    sentinel = RedisServer(directory, "--sentinel", config=config)
    sentinel.start()
    try:
        closed_port = free_port()
        assert await answer(f"redis+sentinel://127.0.0.1:{closed_port},127.0.0.1:{sentinel.port}/account/0") == "value"
        with pytest.raises(exceptions.ConnectionError):
            await answer(f"redis+sentinel://127.0.0.1:{sentinel.port}/other")
    finally:
        sentinel.kill()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "http://localhost",
        "redis://",
        "redis://:pass/word@host",
        "redis://:pass#word@host",
        "redis://:pass:word@host:port",
        "redis://host/name",
        "redis://host/0?nothing=known",
        "redis://host/0?ssl_cert_reqs=none",
        "redis://[::1",
        "unix://",
        "redis+sentinel://:password@host",
        "redis+sentinel://:password@host/",
        "redis+sentinel://host:port/name",
    ],
)
async def test_what_is_no_address_is_refused_in_words_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        await answer(url)
    assert "word@" not in str(refused.value)
    assert "pass" not in str(refused.value).replace("a password with", "")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://:secret@host/0", "redis://***@host/0"),
        ("rediss://user:secret@host/0", "rediss://***@host/0"),
        ("redis://user:se@cr/et@host/0", "redis://***@host/0"),
        ("unix://user@/socket?password=secret&db=1", "unix://***@/socket?password=***&db=1"),
        (
            "redis+sentinel://a:secret@h,i/s?sentinel_password=secret",
            "redis+sentinel://***@h,i/s?sentinel_password=***",
        ),
        ("rediss://host?ssl_password=secret", "rediss://host?ssl_password=***"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


def test_without_redis_py_the_error_says_what_to_install() -> None:
    program = (
        "import asyncio, sys; sys.modules['redis'] = None\n"
        "from stopcast.fleet.connection import connected\n"
        "asyncio.run(connected('redis://localhost', timeout_seconds=1).__aenter__())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert "pip install 'stopcast[redis]'" in done.stderr
