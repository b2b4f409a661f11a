"""Text that is no list yet: what its error says to type makes one of it."""

from __future__ import annotations

import re
import subprocess

import pytest

from support.reading import Written, read

ROWS = [("a1", "r1", "t1"), ("a2", "r2", "t2")]
OBJECTS = "".join(f'{{"AppId":"{a}","RoomId":"{r}","TaskId":"{t}"}}\n' for a, r, t in ROWS)
PRETTY = "[\n" + ",\n".join(OBJECTS.splitlines()) + "\n]"


def lines_of(pattern: str) -> str:
    return "".join(pattern.format(*row) + "\n" for row in ROWS)


@pytest.mark.parametrize(
    "content",
    [
        lines_of('2026-11-28 INFO stop {{"AppId":"{}","RoomId":"{}","TaskId":"{}"}}'),
        "# exported on Monday\n\n# by ops\n" + OBJECTS,
        "Connected to db1\n" + PRETTY,
        lines_of("time=2026-11-28T10:00:00Z level=info AppId={} RoomId={} TaskId={} msg=started"),
        lines_of("AppId={}&RoomId={}&TaskId={}"),
        lines_of('10:00:00 started task_id: "{2}", room_id: "{1}", app_id: "{0}"'),
        lines_of("GET /?Action=StopWebcast&RoomId={1}&AppId={0}&TaskId={2} HTTP/1.1"),
        f"const tasks = {PRETTY};\n",
        f"export default {PRETTY};\n",
        f")]}}'\n{PRETTY}\n",
        lines_of("{{'AppId': '{}', 'RoomId': '{}', 'TaskId': '{}'}}"),
        f"{ROWS}\n",
        lines_of("{}\uff0c{}\uff0c{}"),
        '"AppId,RoomId,TaskId"\n' + lines_of('"{},{},{}"'),
    ],
)
async def test_the_command_of_the_error_makes_a_list(written: Written, content: str) -> None:
    path = written(content, "list.txt")
    found = await read(path)
    assert (found.rows, found.broken) == ([], [])
    command = re.search(r": ((?:grep|tail|sed|python3) .*) \| stopcast run -$", str(found.error))
    assert command is not None, found.error
    made = subprocess.run(["sh", "-c", command[1].replace("LIST", str(path))], capture_output=True, check=True)
    again = await read(written(made.stdout, "made"))
    assert (again.ids, again.broken, again.error) == (ROWS, [], None)


@pytest.mark.parametrize("header", ["", "AppId{0}RoomId{0}TaskId\n"])
@pytest.mark.parametrize(
    ("separator", "typed"),
    [(" ", "' '"), (":", ":"), ("/", "/"), ("^", "'^'"), ("~", "'~'"), ("&", "'&'"), ("\x01", r"$'\x01'")],
)
async def test_a_delimiter_that_is_not_detected_is_named(
    written: Written, header: str, separator: str, typed: str
) -> None:
    path = written((header + lines_of("{}{{0}}{}{{0}}{}")).format(separator))
    assert str((await read(path)).error).endswith(f": --delimiter {typed}")
    assert (await read(path, delimiter=separator)).ids == ROWS


async def test_columns_that_are_aligned_with_spaces_are_told_from_those_between_single_spaces(written: Written) -> None:
    found = await read(written("AppId   RoomId   TaskId\na1      r1       t1\n"))
    assert str(found.error).endswith("tr -s ' ' < LIST | stopcast run - --delimiter space")


@pytest.mark.parametrize("content", [b"- [a1, r1, t1]\n", b"[[tasks]]\nAppId = 'a1'\n", bytes(4096)])
async def test_another_notation_is_named(written: Written, content: bytes) -> None:
    found = await read(written(content))
    assert (found.rows, found.broken) == ([], [])
    assert "which cannot be read as a list" in str(found.error)
