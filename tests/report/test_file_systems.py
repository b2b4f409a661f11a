"""File systems that lack an operation: locks, modes, syncs, truncation, attributes."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stopcast.sandbox import Emulator
from support.processes import Shell, obey_permissions, read_report, statuses, tasks, write_csv

At = tuple[str, ...]
REPORT = "stopcast-report.jsonl"


def refuse(number: int) -> Callable[..., Any]:
    def refused(*_arguments: object, **_options: object) -> Any:
        raise OSError(number, os.strerror(number))

    return refused


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS, errno.EPERM])
def test_without_locks_a_report_is_written_with_a_warning(
    shell: Shell, at: At, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(fcntl, "flock", refuse(number))
    name = write_csv(shell / "list.csv", tasks(5))
    for options in ((), ("--resume",)):
        ended = shell.run("run", name, *at, *options)
        assert ended.status == 0
        assert "has no locks" in ended.err
        assert "no second run" in ended.err
    assert statuses(shell / REPORT) == {"stopped": 5}


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.EINVAL, errno.ENOSYS])
def test_without_syncs_a_report_is_written_with_one_warning(
    shell: Shell, at: At, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    for operation in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, operation, refuse(number))
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(5)), *at)
    assert ended.status == 0
    assert ended.err.count("cannot sync") == 1
    assert statuses(shell / REPORT) == {"stopped": 5}


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.EPERM, errno.EACCES])
def test_without_modes_and_attributes_a_resumed_report_is_written_anew(
    shell: Shell, api: Emulator, at: At, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    for operation in ("chmod", "fchmod", "setxattr", "getxattr", "removexattr"):
        monkeypatch.setattr(os, operation, refuse(number))
    name = write_csv(shell / "list.csv", tasks(5))
    api.fail_forever = set(tasks(2))
    assert shell.run("run", name, *at, "--max-attempts", "1").status == 1
    api.fail_forever = ()
    assert shell.run("run", name, *at, "--resume").status == 0
    assert statuses(shell / REPORT) == {"stopped": 5}


def test_without_replacing_a_resumed_report_is_overwritten_with_all_its_lines(
    shell: Shell, api: Emulator, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def refused(path: Path, target: Path) -> Path:
        if path.name.endswith(".tidying"):
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refused)
    name = write_csv(shell / "list.csv", tasks(5))
    api.fail_forever = set(tasks(2))
    assert shell.run("run", name, *at, "--max-attempts", "1").status == 1
    api.fail_forever = ()
    assert shell.run("run", name, *at, "--resume").status == 0
    assert statuses(shell / REPORT) == {"stopped": 5}


def test_without_truncation_no_line_follows_a_torn_one(shell: Shell, at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    write, full = os.write, set[int]()

    def half(descriptor: int, data: bytes) -> int:
        if descriptor in full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if bytes(data[:9]) != b'{"AppId":':
            return write(descriptor, data)
        full.add(descriptor)
        return write(descriptor, data[: len(data) // 2 - 3])

    name = write_csv(shell / "list.csv", tasks(200))
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", half)
        patched.setattr(os, "ftruncate", refuse(errno.ENOTSUP))
        assert shell.run("run", name, *at).status == 3
        torn = (shell / REPORT).read_bytes()
        full.clear()
        ended = shell.run("run", name, *at, "--resume")
        assert (ended.status, "Copy it to another file system" in ended.err) == (3, True)
        assert (shell / REPORT).read_bytes() == torn
    assert not torn.endswith(b"\n")
    assert shell.run("run", name, *at, "--resume").status == 0
    assert len(read_report(shell / REPORT)) == 200


@pytest.mark.parametrize("other", ["directory", "file"])
def test_something_else_in_place_of_the_in_flight_log_is_one_line_with_status_3_and_no_empty_report(
    shell: Shell, api: Emulator, at: At, other: str
) -> None:
    path = shell / f"{REPORT}.inflight"
    path.mkdir() if other == "directory" else path.write_text("mine\n")
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(2)), *at)
    assert (ended.status, api.calls) == (3, 0)
    assert path.name in ended.err
    assert ended.without_traceback
    assert not (shell / REPORT).exists()
    assert path.exists()


def test_an_in_flight_log_of_another_user_is_one_line_with_status_3(shell: Shell, api: Emulator, at: At) -> None:
    path = shell / f"{REPORT}.inflight"
    path.write_bytes(b"stopcast-flight2" + bytes(16))
    path.chmod(0)
    ended = shell.run_process("run", write_csv(shell / "list.csv", tasks(2)), *at, before=obey_permissions)
    assert (ended.status, api.calls) == (3, 0)
    assert "Permission denied" in ended.err
    assert not (shell / REPORT).exists()
