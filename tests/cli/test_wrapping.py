"""Text at a terminal: no word is broken, and a command stays on one line."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stopcast.cli.wrapping import cells, wrapped_for
from stopcast.sandbox import Emulator, Faults
from support.processes import Shell, tasks, until, write_csv
from support.terminal import terminal


@contextmanager
def terminal_of(columns: int) -> Iterator[int]:
    ours, theirs = os.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        yield theirs
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one two three", "one two\nthree"),
        ("  one two three", "  one two\n  three"),
        ("ok    one two three", "ok    one\n      two\n      three"),
        ("> one two three", "> one two\n  three"),
        ("one\ntwo", "one\ntwo"),
        ("  stopcast run --resume list.csv", "  stopcast run --resume list.csv"),
        ("  A=1 '/s c/stopcast' run list.csv", "  A=1 '/s c/stopcast' run list.csv"),
        ("  env -u A /opt/bin/stopcast run l.csv", "  env -u A /opt/bin/stopcast run l.csv"),
        ("abcdefghijklmn", "abcdefghijklmn"),
        ("中文，中文中文", "中文，中文中\n文"),  # noqa: RUF001
    ],
)
def test_a_line_is_broken_between_words_and_continued_below_its_text(text: str, shown: str) -> None:
    with terminal_of(12) as descriptor:
        assert wrapped_for(descriptor, text) == shown


def test_text_that_goes_elsewhere_is_not_wrapped() -> None:
    ours, theirs = os.pipe()
    assert wrapped_for(theirs, "word " * 100) == "word " * 100
    os.close(ours)
    os.close(theirs)
    with terminal_of(0) as descriptor:
        assert wrapped_for(descriptor, "two words") == "two words"


def test_a_question_is_not_broken_within_its_answers(shell: Shell) -> None:
    name = write_csv(shell / "list.csv", tasks(101))
    with terminal(shell, "run", name, columns=60) as shown:
        until(lambda: "[y/N]:" in shown.text)
        shown.type("n\n")
        assert shown.end() == 3


def test_no_word_of_a_given_up_run_is_broken_at_sixty_columns(shell: Shell, api: Emulator) -> None:
    api.faults = Faults({"signature": 1.0})
    name = write_csv(shell / "list.csv", tasks(50))
    with terminal(shell, "run", name, "--endpoint", api.url, columns=60) as shown:
        assert shown.end() == 3
    lines = shown.raw.decode().replace("\r", "").split("\n")
    commands = [line for line in lines if line.startswith("  ") and " -m stopcast " in line]
    assert len(commands) == 2
    prose = [line for line in lines if line and "\x1b" not in line and line not in commands]
    assert max(map(cells, prose)) <= 60
