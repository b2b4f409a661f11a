"""What is sent and what is read of a request and its answer."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from stopcast.api.answers import ANSWER_LIMIT
from stopcast.ports import TransportError
from support.wire import BODY, WHOLE, Open, Wire, answering, post


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
