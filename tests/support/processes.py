"""What the tests of whole processes share: the command, an emulator for it to talk to, lists and reports."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import pty
import subprocess
import sys
import termios
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from stopcast.sandbox import SANDBOX_CREDENTIALS
from stopcast.tasks.task import Task
from support.command import Finished, run_in_process
from support.forked import ForkedCommand, Forks

COMMAND: Final = (sys.executable, "-m", "stopcast")
KEYS: Final = {
    "VOLCENGINE_ACCESS_KEY": SANDBOX_CREDENTIALS.access_key,
    "VOLCENGINE_SECRET_KEY": SANDBOX_CREDENTIALS.secret_key,
}
#: Far beyond what anything here takes: it ends a test that hangs, and decides nothing else.
HANGS_AFTER_SECONDS: Final = 40.0


class Shell:
    """Runs the command in a directory of its own, with an environment that holds nothing of the person's."""

    def __init__(self, directory: Path, forks: Forks | None = None) -> None:
        self.directory = directory
        self._forks = forks
        self.home = directory / "home"
        self.home.mkdir()
        self.variables: dict[str, str] = dict(KEYS)
        self._started: list[subprocess.Popen[bytes]] = []

    def __truediv__(self, name: str) -> Path:
        return self.directory / name

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the commands."""
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
        return {**kept, "HOME": str(self.home), "PYTHONUTF8": "1", **self.variables}

    def start(
        self,
        *arguments: str,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.PIPE,
        stderr: int | IO[bytes] = subprocess.PIPE,
        before: Callable[[], object] | None = None,
        program: tuple[str, ...] = COMMAND,
        fresh: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Start the command; ``before`` runs in the new process ahead of it.

        It is forked from a process that has imported it, unless an interpreter's start is part of what is tested:
        ``before``, another program, Python's own variables, or ``fresh``.
        """
        streams: dict[str, Any] = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
        place: dict[str, Any] = {"cwd": self.directory, "env": self.environment}
        fresh = fresh or program != COMMAND or any(name.startswith("PYTHON") for name in self.variables)
        if self._forks is None or not self._forks.available or before or fresh:
            # Limits are set before, and nothing else.
            process = subprocess.Popen([*program, *arguments], **streams, **place, preexec_fn=before)  # noqa: PLW1509
        else:
            process = ForkedCommand(self._forks, list(arguments), **streams, **place)
        self._started.append(process)
        return process

    def close(self) -> None:
        """Kill the processes that still run: those of a test that failed."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in filter(None, (process.stdin, process.stdout, process.stderr)):
                with suppress(BrokenPipeError):
                    pipe.close()

    def run(self, *arguments: str, given: bytes = b"") -> Finished:
        """Run the command to its end inside this process, with ``given`` on standard input: see ``support.command``."""
        return run_in_process(*arguments, directory=self.directory, environment=self.environment, given=given)

    def run_process(self, *arguments: str, given: bytes = b"", before: Callable[[], object] | None = None) -> Finished:
        """Run the command to its end in a process of its own, with ``given`` on standard input.

        For what only a process shows: limits, descriptors, the report on standard output, imports, memory.
        """
        process = self.start(*arguments, stdin=subprocess.PIPE, before=before)
        return end_of(process, given)

    def terminal(self, *arguments: str, typed: str = "", expect: str = "") -> tuple[int, str]:
        """Run the command on a terminal; when it shows ``expect``, type. Return its status and what it showed."""
        self.variables.setdefault("TERM", "xterm-256color")  # nothing is drawn on a terminal without a type
        ours, theirs = pty.openpty()
        process = self.start(*arguments, stdin=theirs, stdout=theirs, stderr=theirs, before=own_the_terminal)
        os.close(theirs)
        hangs = threading.Timer(HANGS_AFTER_SECONDS, process.kill)
        hangs.start()
        shown = b""
        with suppress(OSError):  # EIO: the other end of the terminal is closed
            while piece := os.read(ours, 65536):
                shown += piece
                if typed and expect.encode() in shown:
                    os.write(ours, typed.encode())
                    typed = ""
        status = process.wait()
        hangs.cancel()
        os.close(ours)
        return status, shown.decode()


def own_the_terminal() -> None:
    """Make standard input the terminal that Control-C is typed at."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def end_of(process: subprocess.Popen[bytes], given: bytes | None = None) -> Finished:
    """Wait until the process has ended."""
    try:
        out, err = process.communicate(given, timeout=HANGS_AFTER_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Finished(process.returncode, (out or b"").decode(), (err or b"").decode())


def until(condition: Callable[[], object]) -> None:
    """Return when the condition holds; fail if it never does."""
    ends_at = time.monotonic() + HANGS_AFTER_SECONDS
    while not condition():
        assert time.monotonic() < ends_at, "it never came to that"
        time.sleep(0.005)


def tasks(number: int, *, app: str = "app", first: int = 0) -> list[Task]:
    """Return ``number`` tasks."""
    return [Task(app, f"room-{n}", f"task-{n}") for n in range(first, first + number)]


def csv_of(listed: Iterable[Task]) -> str:
    """Return a list with its header."""
    return "AppId,RoomId,TaskId\n" + "".join(f"{','.join(task)}\n" for task in listed)


def write_csv(path: Path, listed: Iterable[Task]) -> str:
    """Write a list, and return its name for the command line."""
    path.write_text(csv_of(listed))
    return path.name


def write_jsonl(path: Path, listed: Iterable[Task]) -> str:
    """Write a list, and return its name for the command line."""
    rows = (json.dumps({"TaskId": t.task_id, "AppId": t.app_id, "RoomId": t.room_id}) + "\n" for t in listed)
    path.write_text("".join(rows))
    return path.name


def read_report(path: Path) -> list[dict[str, Any]]:
    """Return a report's lines; fail unless every one is whole."""
    data = path.read_bytes()
    assert not data or data.endswith(b"\n")
    return [json.loads(line) for line in data.split(b"\n")[:-1]]


def statuses(path: Path) -> Counter[str]:
    """Return how many lines of a report have each status."""
    return Counter(line["status"] for line in read_report(path))


def lines_by_task(path: Path) -> Counter[Task]:
    """Return how many lines a report has for each task."""
    return Counter(Task(line["AppId"], line["RoomId"], line["TaskId"]) for line in read_report(path))


def settled_by(path: Path, status: str) -> set[Task]:
    """Return the tasks whose line has this status."""
    return {Task(it["AppId"], it["RoomId"], it["TaskId"]) for it in read_report(path) if it["status"] == status}


def obey_permissions() -> None:
    """Let the superuser be refused like anybody else, from the next program on."""
    if os.geteuid() == 0:
        drop_from_bounding_set, dac_override, dac_read_search = 24, 1, 2
        for capability in (dac_override, dac_read_search):
            ctypes.CDLL(None).prctl(drop_from_bounding_set, capability)


def with_variables(shell: Shell, variables: Mapping[str, str]) -> Shell:
    """Add to the environment of the shell's commands."""
    shell.variables.update(variables)
    return shell
