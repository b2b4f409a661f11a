"""Keys that steer a run at a terminal, and the terminal's mode, which comes back however the run ends."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from stopcast.sandbox import Emulator, Faults
from support.processes import Shell, tasks, until, write_csv
from support.terminal import Terminal, terminal

#: Starts the command in a process group of its own, as a shell with job control does, and says when it stops.
AS_A_SHELL_DOES = """
import os, signal, sys, termios

signal.signal(signal.SIGTTOU, signal.SIG_IGN)
mode = termios.tcgetattr(0)
job = os.fork()
if not job:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpgrp())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.executable, [sys.executable, "-m", "stopcast", *sys.argv[1:]])
try:
    os.setpgid(job, job)
except OSError:
    pass  # the job has done so itself, and runs already
while True:
    _, status = os.waitpid(job, os.WUNTRACED)
    os.tcsetpgrp(0, os.getpgrp())
    same = termios.tcgetattr(0)[:4] == mode[:4]
    if not os.WIFSTOPPED(status):
        print("ended", os.waitstatus_to_exitcode(status), "mode kept" if same else "mode lost", flush=True)
        break
    print("stopped", "mode kept" if same else "mode lost", flush=True)
    sys.stdin.readline()
    os.tcsetpgrp(0, job)
    os.kill(job, signal.SIGCONT)
"""


def options(shell: Shell, api: Emulator, number: int = 3000) -> tuple[str, ...]:
    name = write_csv(shell / "list.csv", tasks(number))
    return ("run", name, "--endpoint", api.url, "--max-per-second", "50")


def test_keys_pause_continue_steer_and_end_the_run(shell: Shell, api: Emulator) -> None:
    with terminal(shell, *options(shell, api)) as shown:
        until(lambda: "q end" in shown.text and "latency" in shown.text)
        shown.type("-")
        until(lambda: "held at 45" in shown.text)
        shown.type("+")
        until(lambda: "held at" not in shown.text)
        shown.type("p")
        until(lambda: " Paused" in shown.text and f"press p, or kill -USR2 {shown.process.pid}" in shown.text)
        shown.type("p")
        until(lambda: "Resumed, at most 50 of 50" in shown.text)
        shown.type("xyz\n")
        shown.type("q")
        assert shown.end() == 130
        assert "stopcast run --resume" in shown.text


def test_a_second_q_cuts_the_calls_off(shell: Shell, api: Emulator) -> None:
    api.faults = Faults({"hang": tasks(1)})
    with terminal(shell, *options(shell, api)) as shown:
        until(lambda: "q end" in shown.text and "latency" in shown.text)
        shown.type("q")
        until(lambda: "Ending: interrupted" in shown.text)
        shown.type("q")
        assert shown.end() == 130


@pytest.mark.parametrize("ending", ["q", "\x03", "\x1c", signal.SIGTERM, "all"], ids=repr)
def test_the_terminal_has_its_own_mode_and_its_cursor_after_every_end(
    shell: Shell, api: Emulator, ending: str | signal.Signals
) -> None:
    arguments = options(shell, api, 30 if ending == "all" else 3000)
    with as_a_job(shell, *arguments) as shown:
        until(lambda: "q end" in shown.text or "ended" in shown.text)
        if isinstance(ending, signal.Signals):
            os.kill(job_of(shown), ending)
        elif ending != "all":
            shown.type(ending)
        shown.end()
        assert "mode kept" in shown.text
        assert shown.raw.rfind(b"\x1b[?25h") > shown.raw.rfind(b"\x1b[?25l")


def test_control_z_gives_the_terminal_back_and_keys_work_again_in_the_foreground(shell: Shell, api: Emulator) -> None:
    with as_a_job(shell, *options(shell, api)) as shown:
        until(lambda: "q end" in shown.text)
        for times in (1, 2):
            shown.type("\x1a")
            until(lambda times=times: shown.text.count("stopped mode kept") == times)  # type: ignore[misc]
            assert "q end" not in shown.text
            shown.type("\n")
            until(lambda: "q end" in shown.text)
        shown.type("q")
        shown.end()
        assert "ended 130 mode kept" in shown.text


def test_keys_are_not_read_where_standard_input_is_the_list(shell: Shell, api: Emulator) -> None:
    arguments = ("run", "-", "--endpoint", api.url)
    with terminal(shell, *arguments) as shown:
        until(lambda: "so far" in shown.text)
        assert "q end" not in shown.text
        shown.type("AppId,RoomId,TaskId\na,r,q\n\x04")
        assert shown.end() == 0
        assert "1 row: 1 stopped" in shown.text


def as_a_job(shell: Shell, *arguments: str) -> AbstractContextManager[Terminal]:
    """Run the command on a terminal as a shell with job control does."""
    return terminal(shell, "-c", AS_A_SHELL_DOES, *arguments, program=(sys.executable,))


def job_of(shown: Terminal) -> int:
    """Return the process of the command that the shell has started."""
    return int(Path(f"/proc/{shown.process.pid}/task/{shown.process.pid}/children").read_text().split()[0])
