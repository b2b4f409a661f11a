"""A server on loopback that notes when the kernel received each request, however late it is read itself."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Final

import pytest

#: Linux' SO_TIMESTAMPNS, which Python has no name for. The time stamp is that of the latest segment that was read.
_SO_TIMESTAMPNS: Final = 35
_TIMESPEC: Final = struct.Struct("@qq")
_BODY: Final = b'{"ResponseMetadata":{},"Result":"ok"}'
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(_BODY),
    _BODY,
)


class StampingServer:
    """Answers every request that its task is stopped.

    Args:
        hangs_up_after: closes each connection after this many answers, 0 for never. The client's next request over it
            comes to nothing, unless the client has noticed.

    Attributes:
        url: the address.
        stamps: Unix time at which the kernel received the first bytes of each request.
    """

    def __init__(self, *, hangs_up_after: int = 0) -> None:
        self.stamps: list[float] = []
        self._hangs_up_after = hangs_up_after
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        # The connections inherit it, so that also what comes before they are accepted is stamped.
        self._listener.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._selector = selectors.DefaultSelector()
        self._closing = threading.Event()
        self._connections: set[socket.socket] = set()

    def serve(self) -> None:
        """Serve until ``close``."""
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        while not self._closing.is_set():
            for key, _ in self._selector.select(0.05):
                if key.data is None:
                    self._accept()
                else:
                    next(key.data)
        for connection in (*self._connections, self._listener):
            connection.close()
        self._selector.close()

    def close(self) -> None:
        """Let ``serve`` return."""
        self._closing.set()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setblocking(False)
        self._connections.add(connection)
        self._selector.register(connection, selectors.EVENT_READ, self._serve_connection(connection))

    def _serve_connection(self, connection: socket.socket) -> Iterator[None]:
        """Read once whenever it is resumed."""
        request = b""
        for answers in count():
            while not _is_whole(request):
                yield
                try:
                    data, ancillary, _, _ = connection.recvmsg(65536, 256)
                except OSError:
                    data = b""
                if not data:
                    yield from self._hang_up(connection)
                if not request:
                    self.stamps.append(_stamp(ancillary))
                request += data
            request = b""
            connection.send(_ANSWER)
            if answers + 1 == self._hangs_up_after:
                yield from self._hang_up(connection)

    def _hang_up(self, connection: socket.socket) -> Iterator[None]:
        self._selector.unregister(connection)
        self._connections.discard(connection)
        connection.close()
        yield


def _is_whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return bool(end) and len(body) >= int(lengths[0])


def _stamp(ancillary: list[tuple[int, int, bytes]]) -> float:
    (data,) = (data for level, kind, data in ancillary if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS))
    seconds, nanoseconds = _TIMESPEC.unpack(data)
    return float(seconds + nanoseconds / 1e9)


def stamps_come() -> bool:
    """Return whether this kernel stamps what it receives over TCP. It begins a moment after it was first asked to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        except OSError:
            return False
        with socket.create_connection(listener.getsockname()) as sender:
            receiver, _ = listener.accept()
            with receiver:
                for _ in range(50):
                    sender.sendall(b"?")
                    if receiver.recvmsg(1, 256)[1]:
                        return True
                    time.sleep(0.02)
    return False


@contextmanager
def stamping_server(*, hangs_up_after: int = 0) -> Iterator[StampingServer]:
    """Serve in a thread while the block lasts. The test is skipped where the kernel stamps nothing."""
    server = StampingServer(hangs_up_after=hangs_up_after)
    if not stamps_come():
        server.close()
        server.serve()
        pytest.skip("this kernel does not stamp what it receives over TCP")
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()
