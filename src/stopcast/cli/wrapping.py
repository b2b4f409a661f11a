"""The width of text on a terminal, and lines of text that may be Chinese."""

from __future__ import annotations

import re
from typing import Final
from unicodedata import east_asian_width

#: Where a line of Chinese may be broken. There are no spaces, and no line begins with a closing mark.
BREAKS: Final = re.compile(r"(?<=[\u4e00-\u9fff，。；：、）”])(?=[\u4e00-\u9fff（“`A-Za-z0-9-])")  # noqa: RUF001


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


def cells(text: str) -> int:
    """Return the width of a text on a terminal, where a Chinese character takes two cells."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)
