"""What to type to make a list of text whose first lines are neither a header nor tasks. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Final

from stopcast.errors import ListError
from stopcast.marking import N_
from stopcast.sources.columns import IDS, SPACES, Columns
from stopcast.sources.lines import Lines
from stopcast.tasks.task import ID_PATTERN

#: The lines in which JSON is looked for.
_BEGINNING: Final = 16
_JSON_IN_A_LINE: Final = re.compile(r'[^{]+\{\s*"[^"]*"\s*:')
_JSON_BEGINS: Final = re.compile(r'\s*[\[{]\s*(?:["\[{]|$)')
#: The separators that are detected.
_USUAL: Final = ",;\t|"
#: Characters that no id holds, and that separate the fields of few lists.
_SEPARATORS: Final = " :/^~&#*!%+=$\x01\x02\x1c\x1d\x1e\x1f"
#: The comma, the enumeration comma, the semicolon, the bar, the colon and the space of Chinese text.
_WIDE_SEPARATORS: Final = "\uff0c\u3001\uff1b\uff5c\uff1a\u3000"
_NAMED_VALUE: Final = re.compile(r'([A-Za-z][\w-]*)"?\s*[=:]\s*"?[\w.@-]')
_VALUE: Final = '[=: "]+([A-Za-z0-9_.@-]+)'
_IN_A_LOG: Final = N_("its lines hold JSON after other text, as a log does: {command} | stopcast run -")
_ABOVE_JSON: Final = N_("other lines stand above its JSON: {command} | stopcast run -")
_NAMES_IN_LINES: Final = N_("each of its lines names the ids, as a log does: {command} | stopcast run -")
_SEPARATED: Final = N_("its fields are separated by {separator!r}, which has to be named: {option}")
_ALIGNED: Final = N_("its columns are aligned with spaces: {command} | stopcast run - --delimiter space")
_QUOTED_LINES: Final = N_("each of its lines is quoted as a whole: {command} | stopcast run -")
_WIDE: Final = N_("its fields are separated by {separator!r}, which is no delimiter: {command} | stopcast run -")


def check_known(lines: Lines, columns: Columns) -> None:
    """Check that the text is none of those for which more can be said than that it has no header.

    Args:
        lines: from the first that is not blank.
        columns: what the user calls the columns.

    Raises:
        ListError: it is one of them, and what to type.
    """
    texts = [text.decode(errors="replace").strip() for text in lines.texts[:_BEGINNING]]
    first = texts[0]
    if _JSON_IN_A_LINE.match(first):
        raise ListError(_IN_A_LOG.format(command="grep -o '{.*}' LIST"))
    for number, text in zip(lines.numbers, texts, strict=False):
        if text is not first and _JSON_BEGINS.match(text):
            raise ListError(_ABOVE_JSON.format(command=f"tail -n +{number} LIST"))
    if (command := _values_by_name(first, columns)) is not None:
        raise ListError(_NAMES_IN_LINES.format(command=command))
    _check_separators(first, columns)


def _check_separators(first: str, columns: Columns) -> None:
    if first[:1] == first[-1:] == '"' and any(_are_fields(first[1:-1].split(each), columns) for each in _USUAL):
        raise ListError(_QUOTED_LINES.format(command="""sed 's/^"//; s/"$//; s/""/"/g' LIST"""))
    if "  " in first and _are_fields([cell for cell in first.split(" ") if cell], columns):
        raise ListError(_ALIGNED.format(command="tr -s ' ' < LIST"))
    for separator in _SEPARATORS:
        if _are_fields(first.split(separator), columns):
            # A shell reads what it does not print only with a dollar sign.
            typed = shlex.quote(separator) if separator.isprintable() else f"${separator!r}"
            raise ListError(_SEPARATED.format(separator=separator, option=f"--delimiter {typed}"))
    for separator in _WIDE_SEPARATORS:
        if _are_fields(first.split(separator), columns):
            raise ListError(_WIDE.format(separator=separator, command=f"sed 's/{separator}/,/g' LIST"))


def _are_fields(cells: Sequence[str], columns: Columns) -> bool:
    """Return whether the cells name the three columns, or can be a task."""
    cells = [cell.strip(SPACES) for cell in cells]
    return all(columns.every_place(cells)) or (len(cells) == IDS and all(map(ID_PATTERN.fullmatch, cells)))


def _values_by_name(line: str, columns: Columns) -> str | None:
    """Return the command that takes the ids out of lines with the name of each before it, such as AppId=a."""
    names = [found[1] for found in _NAMED_VALUE.finditer(line)]
    places = [found[0] for found in columns.every_place(names) if len(found) == 1]
    if len(places) < IDS:
        return None
    pattern = ".*".join(names[place] + _VALUE for place in sorted(places))
    order = ",".join(f"\\{sorted(places).index(place) + 1}" for place in places)
    return f"sed -nE 's/.*{pattern}.*/{order}/p' LIST"
