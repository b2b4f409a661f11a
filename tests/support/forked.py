"""Processes of the command that cost a fork each: 20 ms, where a new interpreter and its imports cost 250 ms.

``python forked.py DESCRIPTOR`` imports the command once, and forks itself for each request. Such a process has its own
descriptors, signals, environment and end, as any other. It has no command line of its own, and no interpreter's start.
"""

from __future__ import annotations

import ctypes
import gc
import io
import json
import os
import pkgutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from importlib import import_module
from typing import Any, Final

_REQUEST_BYTES: Final = 1 << 17
_PR_SET_CHILD_SUBREAPER: Final = 36


class Forks:
    """Starts processes of the command. The first start waits for the imports."""

    #: Orphans come to a process of one's choice on Linux alone. That is how a test waits for what another forked.
    available: Final = sys.platform == "linux"

    def __init__(self) -> None:
        self._requests: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def _begin(self) -> socket.socket:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {**os.environ, "PYTHONUTF8": "1"}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()], env=environment
            )
        return ours

    def fork(self, arguments: list[str], directory: str, environment: dict[str, str], descriptors: list[int]) -> int:
        """Start one with these standard streams, and return its process id; it is a child of this process."""
        if self._requests is None:
            self._requests = self._begin()
        request = json.dumps([arguments, directory, environment]).encode()
        socket.send_fds(self._requests, [request], descriptors)
        return int(self._requests.recv(32))

    def close(self) -> None:
        """Start no more."""
        if self._requests is not None and self._process is not None:
            self._requests.close()
            self._process.wait()


class ForkedCommand(subprocess.Popen[bytes]):
    """A process of ``Forks``; its arguments are the command's."""

    def __init__(self, forks: Forks, *args: Any, **options: Any) -> None:
        self._forks = forks
        super().__init__(*args, **options)

    def _execute_child(self, args: list[str], *given: Any) -> None:
        directory, environment, ends = given[4], given[5], given[9:15]
        theirs = [end if end != -1 else own for own, end in enumerate((ends[0], ends[3], ends[5]))]
        self.pid = self._forks.fork(args, str(directory), environment, theirs)
        self._child_created = True
        self._close_pipe_fds(*ends)  # type: ignore[attr-defined]


def _serve(requests: socket.socket) -> tuple[bytes, list[int]] | None:
    """Fork for each request. Return it in the forked process, and None in this one when the tests have ended."""
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, _REQUEST_BYTES, 3)
        if not request:
            return None
        reading, writing = os.pipe()
        if (between := os.fork()) == 0:
            if child := os.fork():
                os.write(writing, str(child).encode())
                os._exit(0)
            return request, descriptors
        os.waitpid(between, 0)  # from here on the child is the tests' own
        requests.send(os.read(reading, 32))
        for descriptor in (reading, writing, *descriptors):
            os.close(descriptor)


def _become(request: bytes, descriptors: list[int]) -> None:
    """Make this process what the request says."""
    arguments, directory, environment = json.loads(request)
    for standard, descriptor in enumerate(descriptors):
        os.dup2(descriptor, standard)
    os.closerange(3, max(descriptors) + 64)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = ["stopcast", *arguments]
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _writer(1, errors="strict", by_line=os.isatty(1))  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _writer(2, errors="backslashreplace", by_line=True)  # type: ignore[misc]


def _writer(descriptor: int, *, errors: str, by_line: bool) -> io.TextIOWrapper:
    raw = io.BufferedWriter(io.FileIO(descriptor, "w", closefd=False))
    return io.TextIOWrapper(raw, "utf-8", errors, line_buffering=by_line, write_through=descriptor == 2)


if __name__ == "__main__":
    import stopcast

    for module in pkgutil.walk_packages(stopcast.__path__, "stopcast."):
        if not module.name.endswith("__main__"):
            with suppress(ImportError):  # an extra is not installed
                import_module(module.name)
    for name in ("rich.live", "redis.asyncio", "prometheus_client"):
        with suppress(ImportError):
            import_module(name)
    gc.collect()
    gc.freeze()
    if (asked := _serve(socket.socket(fileno=int(sys.argv[1])))) is not None:
        _become(*asked)
        import_module("stopcast.cli").main()
