"""What looks like the name of a column, like its type, or like a rule between rows, and so is no id."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

#: A cell that consists of these words only is a name. A real AppId has digits. InfluxDB writes a row of true and false
#: above each header.
_NAME_WORDS_TEXT: Final = """
app apps application applications appid appids appkey room rooms roomid roomids roomname channel channelid
channels task tasks taskid taskids taskname job jobid id ids uid uuid guid key keys name names user userid
session sessionid business biz businessid webcast record recording recorder cloud stream streamid rtc volc
volcengine live type source line row rowid status state note notes remark remarks comment comments memo message
code attempts reason date time datetime timestamp at created updated started stopped ended start end stop
finished seconds duration no num number nr index seq count total title description desc value string field
column true false
"""
_KINDS_OF_ID: Final = ("id", "ids", "uuid", "key", "name")
_NAME_WORDS: Final = frozenset(_NAME_WORDS_TEXT.split())
_NUMBERED: Final = re.compile(r"_?(|c|col|column|f|field|var|v)_?(\d{1,4})_?")
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^A-Za-z_.\- ]+")
_TYPES_TEXT: Final = """
str string text char varchar nvarchar nchar character charactervarying utf8 binary varbinary blob clob bytes int
integer bigint smallint tinyint int8 int16 int32 int64 uint8 uint16 uint32 uint64 number numeric decimal float
float32 float64 double doubleprecision real long short bool boolean date time datetime datetime64 timestamp uuid
json object any keyword enum fixedstring
"""
_TYPES: Final = frozenset(_TYPES_TEXT.split())
_TYPE: Final = re.compile(r"(?:(?:nullable|lowcardinality)\()*([a-z][a-z0-9 ]*)(?:\([\d, ]*\))?\)*")
_RULE: Final = re.compile(r"[-+=:|]{3,}")
#: What database clients print below a table.
_FOOTER: Final = re.compile(
    r"\(\d+ rows?(?: affected)?\)|\d+ rows? selected(?:\.| \(.*\))?|\d+ rows? in set.*|\d+ row\(s\) produced.*"
    r"|time: .*",
    re.IGNORECASE,
)


def looks_like_a_name(cell: object) -> bool:
    """Return whether a cell holds a column's name rather than an id."""
    if not isinstance(cell, str):
        return False
    words = _WORD.findall(cell.strip())
    return bool(words) and all(word.lower() in _NAME_WORDS for word in words)


def are_names(cells: Sequence[str]) -> bool:
    """Return whether a first row holds names instead of ids.

    They are only names, or one of them says what it names, as app_id, or a program has numbered the columns, as pandas
    (0, 1, 2), Spark (_c0, _c1, _c2) and BigQuery (f0_, f1_, f2_) do.
    """
    numbered = [_NUMBERED.fullmatch(cell.lower()) for cell in cells]
    if len({found[1] for found in numbered if found}) == 1 and None not in numbered:
        numbers = [int(found[2]) for found in numbered if found]
        # Without a word before it, 1, 2, 3 may well be ids.
        first = min(numbers[0], 1) if numbered[0] and numbered[0][1] else 0
        if numbers == list(range(first, first + len(numbers))):
            return True
    names = [_WORD.findall(cell.lower()) for cell in cells if looks_like_a_name(cell)]
    return len(names) == len(cells) or any(words[-1].endswith(_KINDS_OF_ID) for words in names)


def may_be_names(cells: Sequence[str]) -> bool:
    """Return whether a first row may hold names instead of ids, because one of them looks like a name."""
    return are_names(cells) or any(map(looks_like_a_name, cells))


def are_types(cells: Iterable[object]) -> bool:
    """Return whether each cell holds the type of a column, as some databases write below the header."""
    found = [_TYPE.fullmatch(cell.strip().lower()) if isinstance(cell, str) else None for cell in cells]
    return bool(found) and all(type_ is not None and type_[1].replace(" ", "") in _TYPES for type_ in found)


def is_decoration(cells: Iterable[str]) -> bool:
    """Return whether the cells are a rule, or what a database client prints at the end."""
    full = [text for cell in cells if (text := cell.strip(" \t"))]
    return bool(full) and (all(map(_RULE.fullmatch, full)) or (len(full) == 1 and bool(_FOOTER.fullmatch(full[0]))))
