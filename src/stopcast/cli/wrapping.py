"""The width of text on a terminal, and lines of text that may be Chinese."""

from __future__ import annotations

import os
import re
from typing import Final
from unicodedata import east_asian_width

STANDARD_OUTPUT, STANDARD_ERROR = 1, 2
#: Where a line of Chinese may be broken. There are no spaces, and no line begins with a closing mark.
BREAKS: Final = re.compile(r"(?<=[\u4e00-\u9fff，。；：、）”])(?=[\u4e00-\u9fff（“`A-Za-z0-9-])")  # noqa: RUF001
#: A line that is a command. It stays whole, so that it can be copied.
_COMMAND: Final = re.compile(r"  (\S+ )*\S*stopcast'? ")


def wrapped(text: str, most: int) -> list[str]:
    """Return the lines of a text, each at most ``most`` cells wide unless a single word is wider."""
    lines = [""]
    for word in text.split(" "):
        for number, piece in enumerate(BREAKS.split(word)):
            space = " " if lines[-1] and not number else ""
            if lines[-1] and cells(lines[-1] + space + piece) > most:
                lines.append(piece)
            else:
                lines[-1] += space + piece
    return lines


def wrapped_for(descriptor: int, text: str) -> str:
    """Return a text whose lines fit the terminal that the descriptor is, or the text itself for anything else.

    A line is continued below where its own text begins. A command stays on one line.
    """
    try:
        columns = os.get_terminal_size(descriptor).columns
    except OSError:
        return text
    # 0 is the width of a terminal that has none.
    return "\n".join(piece for line in text.split("\n") for piece in _fitting(line, columns)) if columns else text


def _fitting(line: str, columns: int) -> list[str]:
    if cells(line) <= columns or _COMMAND.match(line):
        return [line]
    # Of a table only the last column is long: what follows two spaces or more.
    begins = max((match.end() for match in re.finditer(r"^ +|(?<=\S)  +|^ *> ", line)), default=0)
    begins = begins if begins <= columns // 2 else 0
    first, *others = wrapped(line[begins:], max(1, columns - cells(line[:begins])))
    indent = " " * cells(line[:begins])
    return [line[:begins] + first, *(indent + other for other in others)]


def cells(text: str) -> int:
    """Return the width of a text on a terminal, where a Chinese character takes two cells."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)
