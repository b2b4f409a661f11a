"""A disk that hangs delays no call and no end of a run, where the report is on another one."""

from __future__ import annotations

import signal
import sys

import pytest

from stopcast.sandbox import Emulator
from support import hung_disk
from support.processes import Shell, end_of, tasks, until, write_csv


@pytest.mark.parametrize(
    ("option", "calls"),
    [
        # They are reached every 5 s, and every second.
        ("--metrics-file", 6000),
        ("--control", 2000),
        # The second list is opened when the first has been read to its end.
        ("list", 3000),
    ],
)
def test_a_run_goes_on_beside_a_hung_disk_and_ends_at_a_signal(
    shell: Shell, api: Emulator, option: str, calls: int
) -> None:
    disk = shell / "disk"
    disk.mkdir()
    arguments = [write_csv(shell / "list.csv", tasks(3000 if option == "list" else 50_000))]
    file = str(disk / "file")
    if option == "list":
        write_csv(disk / "file", tasks(1))
    arguments += [file] if option == "list" else [option, file]
    arguments += ["--endpoint", api.url, "--max-per-second", "1000"]
    process = shell.start(str(disk), "run", *arguments, program=(sys.executable, hung_disk.__file__))
    until(lambda: api.calls)
    (shell / "disk.hangs").mkdir()
    until(lambda: api.calls >= calls)
    process.send_signal(signal.SIGINT)
    assert end_of(process).status == 130
