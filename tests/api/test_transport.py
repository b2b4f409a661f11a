from __future__ import annotations

import asyncio
import gzip
import select
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from stopcast import EndpointError, Status, Stopper, Task
from stopcast.api.answers import ANSWER_LIMIT
from stopcast.api.transport import AiohttpTransport
from stopcast.ports import OpenGate, Request, TransportError
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator, Faults

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
BODY = b'{"AppId":"app","RoomId":"room","TaskId":"task"}'
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
#: The query of the URL is sent as it stands.
REQUEST = Request(BODY, "")
TASK = Task("app", "room", "task")


class Wire:
    """A server that does with a connection what the test says; it takes notes."""

    def __init__(self, serve: Serve, tls: ssl.SSLContext | None) -> None:
        self._serve = serve
        self._tls = tls
        self.connections = 0
        self.requests: list[bytes] = []
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._serve(reader, writer)

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        whole = head + await reader.readexactly(length)
        self.requests.append(whole)
        return whole

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Wire]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.hang_up()
            await server.wait_closed()


Open = Callable[..., Awaitable[Wire]]


@pytest.fixture
async def wire() -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def opened(serve: Callable[..., Awaitable[None]], tls: ssl.SSLContext | None = None) -> Wire:
            async def of_this_wire(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await serve(made, reader, writer)

            made = Wire(of_this_wire, tls)
            return await stack.enter_async_context(made.serving())

        yield opened


def answering(*answers: bytes, close: bool = False) -> Callable[..., Awaitable[None]]:
    async def serve(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await wire.request(reader)
            writer.write(answer)
            await writer.drain()
        if close:
            writer.close()

    return serve


class Permit:
    """A gate whose permit is what a function awaits."""

    def __init__(self, permit: Callable[[], Awaitable[None]], headers: dict[str, str] | None = None) -> None:
        self._permit = permit
        self._headers = headers or {}

    async def permit(self) -> None:
        await self._permit()

    def admit(self) -> dict[str, str]:
        return self._headers


AT_ONCE = OpenGate({})


async def post(url: str, *, seconds: float = 5.0, **settings: Any) -> tuple[int, dict[str, str], bytes]:
    async with asyncio.timeout(seconds), AiohttpTransport(url, **settings) as transport:
        request = REQUEST._replace(query=url.partition("?")[2])
        answer = await transport.send(request, OpenGate({"X-Mine": "1"}))
    return answer.status, dict(answer.headers), answer.body


async def test_exactly_the_given_bytes_are_sent_and_the_whole_answer_is_returned(wire: Open) -> None:
    server = await wire(answering(WHOLE))
    status, headers, answer = await post(f"{server.url}/?Action=Stop%20It&Version=1")
    assert (status, headers["Content-Type"], answer) == (200, "application/json", b"{}")
    head, body = server.requests[0].split(b"\r\n\r\n", 1)
    assert head.startswith(b"POST /?Action=Stop%20It&Version=1 HTTP/1.1\r\n")
    assert b"\r\nX-Mine: 1\r\n" in head + b"\r\n"
    assert b"\r\nAccept-Encoding: identity\r\n" in head
    assert body == BODY


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_is_never_followed(wire: Open, status: int) -> None:
    elsewhere = await wire(answering(WHOLE))
    answer = f"HTTP/1.1 {status} Gone\r\nLocation: {elsewhere.url}/\r\nContent-Length: 0\r\n\r\n"
    server = await wire(answering(answer.encode()))
    assert (await post(server.url))[0] == status
    assert elsewhere.connections == 0
    assert len(server.requests) == 1


@pytest.mark.parametrize("length", [b"Content-Length: 67108864\r\n", b""])
async def test_of_a_huge_answer_little_more_than_1_mib_is_read(wire: Open, length: bytes) -> None:
    written = 0
    gone = asyncio.Event()

    async def serve(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await wire.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
        try:
            for _ in range(1024):
                writer.write(bytes(1 << 16))
                await writer.drain()
                written += 1 << 16
        finally:
            gone.set()

    server = await wire(serve)
    with pytest.raises(TransportError, match=f"longer than {ANSWER_LIMIT} bytes") as caught:
        await post(server.url)
    assert not caught.value.unsent
    await gone.wait()
    # What the kernel's buffers on both sides hold comes on top.
    assert written < 32 * ANSWER_LIMIT


async def test_an_answer_as_long_as_the_limit_is_read_whole(wire: Open) -> None:
    body = bytes(ANSWER_LIMIT)
    server = await wire(answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body))
    assert (await post(server.url))[2] == body


@pytest.mark.parametrize("line", [b"X-%d: and on and on\r\n", b"X-Long: %d", b"and on and on %d "])
async def test_headers_without_end_are_an_error(wire: Open, line: bytes) -> None:
    written = 0

    async def serve(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await wire.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(10_000_000):
            block = line % number * 100
            writer.write(block)
            written += len(block)
            await writer.drain()

    server = await wire(serve)
    with pytest.raises(TransportError) as caught:
        await post(server.url)
    assert not caught.value.unsent
    assert written < 32 * ANSWER_LIMIT


async def test_a_compressed_answer_is_not_expanded(wire: Open) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    server = await wire(answering(head + bomb))
    assert (await post(server.url))[2] == bomb


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x00" * 100,
    ],
)
async def test_a_missing_or_cut_answer_is_an_error_of_a_call_that_was_sent(wire: Open, answer: bytes) -> None:
    server = await wire(answering(answer, close=True))
    with pytest.raises(TransportError) as caught:
        await post(server.url)
    assert (caught.value.unsent, caught.value.untrusted) == (False, False)
    assert str(caught.value)


# Connections


async def test_a_connection_is_reused(wire: Open) -> None:
    server = await wire(answering(WHOLE, WHOLE, WHOLE))
    async with AiohttpTransport(server.url) as transport:
        for _ in range(3):
            await transport.send(REQUEST, AT_ONCE)
    assert (server.connections, len(server.requests)) == (1, 3)


async def test_a_connection_that_died_in_the_pool_is_not_reused(wire: Open) -> None:
    server = await wire(answering(WHOLE, close=True))
    async with AiohttpTransport(server.url) as transport:
        for number in range(1, 4):
            await transport.send(REQUEST, AT_ONCE)
            while server.connections < number:
                await asyncio.sleep(0)
            # As long as it takes until the client has seen the end.
            await asyncio.sleep(0.02)
    assert len(server.requests) == 3


async def test_a_connection_that_dies_while_its_call_waits_is_replaced_and_the_call_asks_for_a_new_permit(
    wire: Open,
) -> None:
    admitted = 0

    async def hang_up_the_first_time() -> None:
        nonlocal admitted
        admitted += 1
        if admitted == 2:
            server.hang_up()
            await asyncio.sleep(0.02)

    server = await wire(answering(WHOLE, WHOLE))
    async with AiohttpTransport(server.url) as transport:
        await transport.send(REQUEST, Permit(hang_up_the_first_time))
        assert (await transport.send(REQUEST, Permit(hang_up_the_first_time))).status == 200
    assert (admitted, server.connections, len(server.requests)) == (3, 2, 2)


async def test_a_call_is_admitted_with_its_connection_in_hand_and_before_anything_is_written(wire: Open) -> None:
    seen: list[tuple[int, int]] = []

    async def admit() -> None:
        await asyncio.sleep(0.02)
        seen.append((server.connections, len(server.requests)))

    server = await wire(answering(WHOLE, WHOLE))
    async with AiohttpTransport(server.url) as transport:
        await transport.send(REQUEST, Permit(admit))
        await transport.send(REQUEST, Permit(admit))
    assert seen == [(1, 0), (1, 1)]


async def test_a_request_is_written_in_the_step_that_admits_its_call() -> None:
    written: list[list[socket.socket]] = []

    def look() -> None:
        # What runs next might block the loop, and the permit would be old by the time of the write.
        connection, _ = listening.accept()
        written.append(select.select([connection], [], [], 0.0)[0])
        connection.sendall(WHOLE)
        connection.close()

    class Gate(OpenGate):
        def admit(self) -> Mapping[str, str]:
            asyncio.get_running_loop().call_soon(look)
            return super().admit()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with (
            asyncio.timeout(5.0),
            AiohttpTransport(f"http://127.0.0.1:{listening.getsockname()[1]}") as transport,
        ):
            assert (await transport.send(REQUEST, Gate({}))).status == 200
    assert [len(readable) for readable in written] == [1]


async def test_a_call_that_is_not_admitted_is_not_sent_and_gives_its_connection_back(wire: Open) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    async def refuse() -> None:
        raise LookupError

    server = await wire(answering(WHOLE))
    async with AiohttpTransport(server.url) as transport:
        with pytest.raises(LookupError):
            await transport.send(REQUEST, Permit(refuse))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await transport.send(REQUEST, Permit(never))
        assert server.requests == []
        await transport.send(REQUEST, AT_ONCE)
    assert (server.connections, len(server.requests)) == (1, 1)


async def test_a_call_that_is_cancelled_drops_its_connection(wire: Open) -> None:
    async def serve(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.request(reader)
        if wire.connections > 1:
            writer.write(WHOLE)
            await writer.drain()

    server = await wire(serve)
    async with AiohttpTransport(server.url) as transport:
        calling = asyncio.create_task(transport.send(REQUEST, AT_ONCE))
        while not server.requests:
            await asyncio.sleep(0)
        calling.cancel()
        await asyncio.wait([calling])
        assert (await transport.send(REQUEST, AT_ONCE)).body == b"{}"
    assert server.connections == 2


async def test_a_call_on_a_refused_connection_was_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with pytest.raises(TransportError) as caught:
        await post(f"http://127.0.0.1:{port}")
    assert (caught.value.unsent, caught.value.untrusted) == (True, False)


async def test_a_call_to_an_unknown_host_was_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(TransportError) as caught:
        await post("http://nowhere.invalid")
    assert (caught.value.unsent, caught.value.untrusted) == (True, False)


async def test_a_call_to_a_server_that_never_ends_its_handshake_was_not_sent(wire: Open) -> None:
    async def silent(_: Wire, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass

    server = await wire(silent)
    with pytest.raises(TransportError) as caught:
        await post(server.url.replace("http:", "https:"), connect_timeout_seconds=0.1)
    assert (caught.value.unsent, caught.value.untrusted) == (True, False)


async def test_a_call_to_a_server_without_tls_was_not_sent(wire: Open) -> None:
    async def plain(_: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await wire(plain)
    with pytest.raises(TransportError) as caught:
        await post(server.url.replace("http:", "https:"), connect_timeout_seconds=1)
    assert (caught.value.unsent, caught.value.untrusted) == (True, False)


async def test_time_without_a_connection_does_not_run_while_a_call_waits_to_be_admitted(wire: Open) -> None:
    async def slowly() -> None:
        await asyncio.sleep(0.2)

    server = await wire(answering(WHOLE))
    async with AiohttpTransport(server.url, connect_timeout_seconds=0.05) as transport:
        assert (await transport.send(REQUEST, Permit(slowly))).status == 200


async def test_no_proxy_is_used_unless_it_is_configured(wire: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = await wire(answering(WHOLE))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    server = await wire(answering(WHOLE))
    await post(server.url)
    assert (proxy.connections, len(server.requests)) == (0, 1)


async def test_no_cookie_is_kept(wire: Open) -> None:
    server = await wire(answering(WHOLE.replace(b"Content-Type", b"Set-Cookie: a=b\r\nContent-Type"), WHOLE))
    async with AiohttpTransport(server.url) as transport:
        await transport.send(REQUEST, AT_ONCE)
        await transport.send(REQUEST, AT_ONCE)
    assert b"cookie" not in server.requests[1].lower()


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
