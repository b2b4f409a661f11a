"""The display under signals, and on terminals that are resized, stopped or closed."""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace

from stopcast.cli.display.frame import Subject, frame
from stopcast.i18n import STATUS_WORDS
from stopcast.sandbox import Emulator, Faults
from support.display import SNAPSHOT
from support.processes import Shell, read_report, statuses, tasks, until, write_csv
from support.terminal import outlive_the_terminal, terminal

REPORT = "stopcast-report.jsonl"


def test_the_display_shows_control_c_and_the_command_to_continue_follows_it(shell: Shell, api: Emulator) -> None:
    api.faults = Faults({"hang": tasks(1)})
    name = write_csv(shell / "list.csv", tasks(3000))
    with terminal(shell, "run", name, "--endpoint", api.url, "--max-per-second", "50") as shown:
        until(lambda: "latency" in shown.text)
        shown.type("\x03")
        until(lambda: "Ending: interrupted" in shown.text)
        assert shown.text.splitlines()[-1] == " q cut off the calls in flight"
        shown.type("\x03")
        assert shown.end() == 130
        after = shown.text
    assert "in flight   " not in after
    assert "stopcast run --resume" in after


def test_the_display_shows_a_pause(shell: Shell, api: Emulator) -> None:
    (shell / "control").write_text("rate 40\npause\n")
    name = write_csv(shell / "list.csv", tasks(30))
    with terminal(shell, "run", name, "--endpoint", api.url, "--max-per-second", "50", "--control", "control") as shown:
        until(lambda: " Paused" in shown.text and "after that at most 40 of 50 calls a second" in shown.text)
        assert f"press p   or kill -USR2 {shown.process.pid}   or echo resume > control" in shown.text
        assert "a second of 50" not in shown.text
        assert " left" not in shown.text
        (shell / "control").write_text("resume")
        assert shown.end() == 0


#: Draws a snapshot, and again whenever the terminal changes its size. A bell marks the end of each drawing.
DRAW_AT_EACH_RESIZE = """
import pickle, signal, sys
from stopcast.cli.display.frame import Subject
from stopcast.cli.display.screen import Screen

with open("snapshot", "rb") as file, Screen(Subject("Stopping list.csv")) as screen:
    snapshot = pickle.load(file)

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})
    while True:
        screen.show(snapshot)
        sys.stderr.buffer.write(bytes([7]))
        sys.stderr.buffer.flush()
        signal.sigwait({signal.SIGWINCH})
"""


def test_after_a_resize_the_display_is_drawn_once_in_the_new_size(shell: Shell) -> None:
    (shell / "snapshot").write_bytes(pickle.dumps(SNAPSHOT))
    with terminal(shell, "-c", DRAW_AT_EACH_RESIZE, columns=120, program=(sys.executable,)) as shown:
        until(lambda: b"\a" in shown.raw)
        for columns, rows in [(40, 24), (1, 1), (12, 5), (200, 50), (80, 24)]:
            before = shown.raw.count(b"\a")
            shown.resize(columns, rows)
            until(lambda before=before: shown.raw.count(b"\a") > before)  # type: ignore[misc]
        assert shown.text.count("latency") == 1
        assert b"Traceback" not in shown.raw


def test_the_display_of_verify_has_a_colour_for_every_status() -> None:
    for status in STATUS_WORDS:
        text = "".join(line.plain for line in frame(replace(SNAPSHOT, statuses={status: 7}), Subject("Asking"), 100))
        assert f"7 {STATUS_WORDS[status]}" in text


def test_a_stopped_terminal_does_not_stop_the_calls(shell: Shell, api: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(400))
    with terminal(shell, "run", name, "--endpoint", api.url, "--max-per-second", "200") as shown:
        until(lambda: "latency" in shown.text)
        shown.type("\x13")
        until(lambda: api.calls == 400)
        shown.type("\x11")
        assert shown.end() == 0


def test_closing_the_terminal_lets_the_calls_in_flight_finish(shell: Shell, api: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(30_000))
    with terminal(shell, "run", name, "--endpoint", api.url) as shown:
        until(lambda: "latency" in shown.text)
        shown.close()
        assert shown.process.wait(30) == 129
    assert len(read_report(shell / REPORT)) == api.calls
    assert not (shell / f"{REPORT}.inflight").exists()


def test_a_run_under_nohup_continues_without_its_terminal(shell: Shell, api: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(400))
    options = ("--endpoint", api.url, "--max-per-second", "200")
    with terminal(shell, "run", name, *options, before=outlive_the_terminal) as shown:
        until(lambda: "latency" in shown.text)
        shown.close()
        assert shown.process.wait(30) == 0
    assert statuses(shell / REPORT) == {"stopped": 400}
