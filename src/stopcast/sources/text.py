"""Text out of bytes: UTF-8 without a mark, whose lines end in a line feed, whatever the list is written in.

No encoding is guessed. UTF-16 and UTF-32 are plain from their marks or from their NUL bytes. Any other bytes are left
as they are: a comma, a tab, a semicolon, a quote and a line end are never a part of another character in UTF-8,
GB18030, Shift-JIS or Latin, and an id has to be ASCII.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from stopcast.errors import ListError
from stopcast.marking import N_
from stopcast.sources.compression import head_of
from stopcast.sources.header import Header
from stopcast.sources.lines import LINE_BYTES

#: Byte order marks. UTF-32's begins as UTF-16's does, and so stands before it.
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
#: Fewer bytes do not say the encoding, even where they hold a line.
_SHORT_LINE: Final = 8
_SAMPLE_BYTES: Final = 4096
#: Of the characters of a header in UTF-16, at least one out of this number is ASCII, and so has a NUL byte.
_NULS_IN: Final = 4
#: Where text is UTF-16, hardly a NUL byte stands in the other half of a character.
_STRAY_NULS: Final = 10
#: A list that says GBK or GB2312 may hold characters of the standard that contains both.
_WIDER: Final = {"gbk": "gb18030", "gb2312": "gb18030"}
NOT_UTF_8: Final = N_("not UTF-8")
_MARKS_OF_UTF_8: Final = rb"(?:\xef\xbb\xbf)+"
_BEGINS_WITH_MARKS: Final = re.compile(rb"\A" + _MARKS_OF_UTF_8)
_LINE_BEGINS_WITH_MARKS: Final = re.compile(rb"\n" + _MARKS_OF_UTF_8)
_BEGUN_MARKS: Final = (codecs.BOM_UTF8[:2], codecs.BOM_UTF8[:1])
#: How git, Mercurial and Subversion mark the two sides of a conflict.
_CONFLICT: Final = re.compile(rb"^(?:<{7}|>{7})(?: .{0,40}|$)", re.MULTILINE)
_CONFLICT_MARKS: Final = (b"<<<<<<<", b">>>>>>>")
_CONFLICT_BEGINS: Final = 8
#: DOS programs end a file with Ctrl-Z.
_END_OF_FILE: Final = b"\x1a"


class Sheet(NamedTuple):
    """The sheet of a workbook that has the three columns.

    Attributes:
        name: of the sheet.
        header: of its rows.
        line: the header's place in the sheet, or that of the first row where there is none.
    """

    name: str
    header: Header
    line: int


@dataclass(slots=True)
class Detected:
    """How a list's bytes are written. The thread that reads them sets it before it hands over the first of them.

    Attributes:
        compressions: their names, the outermost first.
        encoding: of the text, ``NOT_UTF_8`` where it is not known.
        line_ends: LF, CRLF, CR or CRCRLF.
        sheet: of a workbook.
    """

    compressions: Sequence[str] = ()
    encoding: str = "UTF-8"
    line_ends: str = "LF"
    sheet: Sheet | None = None


def text_of(chunks: Iterator[bytes], detected: Detected, encoding: str | None = None) -> Iterator[bytes]:
    """Yield the text of these bytes. ``encoding`` is theirs, None where it is to be detected."""
    head, chunks = head_of(chunks, _has_a_line)
    found = _encoding_of(head)
    encoding = codecs.lookup(encoding or found).name
    if encoding in {"utf-16", "utf-32"}:
        # The order of the bytes is plain from the mark, or from the NUL bytes; without either most programs mean this.
        encoding = found if found.startswith(encoding) else f"{encoding}-le"
    if encoding in {"utf-8", "ascii"}:
        detected.encoding = "UTF-8" if is_utf_8(head) else NOT_UTF_8
    else:
        detected.encoding = encoding.upper()
        chunks = _recoded(chunks, _WIDER.get(encoding, encoding))
    head, chunks = head_of(chunks, _has_a_line)
    detected.line_ends = _line_ends_of(head)
    first = _first_line(head).rstrip(b"\r")
    if detected.line_ends != "CR" and b"\r" in first and b'"' not in first:
        raise ListError("some of its lines end in CR alone, and others in LF: tr '\\r' '\\n' < LIST | stopcast run -")
    text = _with_line_feeds(chunks, alone=detected.line_ends == "CR")
    yield from _without_conflict(_without_end_of_file(_without_marks(text)))


def _has_a_line(head: bytes) -> bool:
    """Whether the encoding and the line ends are plain from the head: no line is complete before."""
    line = _first_line(head)
    if b"\n" not in head[len(line) :]:
        return len(head) > LINE_BYTES
    return len(head) >= _SHORT_LINE or b"\0" not in line


def _first_line(head: bytes) -> bytes:
    """Return the bytes before the end of the first line that is not blank."""
    start = len(head) - len(head.lstrip(b" \t\r\n"))
    end = head.find(b"\n", start)
    return head if end < 0 else head[:end]


def _encoding_of(head: bytes) -> str:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    # The first line, so that it makes no difference how many bytes have arrived.
    line = _first_line(head)[:_SAMPLE_BYTES]
    if b"\0" not in line:
        return "utf-8"
    sample = line if len(line) >= _SHORT_LINE else head[:_SHORT_LINE]
    nuls = [sample[place::4].count(0) for place in range(4)]
    characters = len(sample) // 4
    if characters and min(nuls[2:]) >= characters > nuls[0]:
        return "utf-32-le"
    if characters and min(nuls[:2]) >= characters > nuls[3]:
        return "utf-32-be"
    first, second = nuls[0] + nuls[2], nuls[1] + nuls[3]
    for encoding, zeros, others in (("utf-16-le", second, first), ("utf-16-be", first, second)):
        if zeros > 1 and zeros * _NULS_IN * 2 >= len(sample) and zeros >= _STRAY_NULS * others:
            return encoding
    return "utf-8"


def is_utf_8(head: bytes) -> bool:
    """Return whether these bytes can begin a text in UTF-8."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _recoded(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Yield UTF-8. What cannot be decoded becomes a character that no id may hold."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def _without_marks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the text without the byte order marks at the beginning of lines, where joined files have them."""
    line_begins, held = True, b""
    for chunk in chunks:
        data = held + chunk
        # One byte is found at a fraction of the cost of three, and most lists have none.
        if codecs.BOM_UTF8[:1] in data:
            data = _LINE_BEGINS_WITH_MARKS.sub(b"\n", data)
            data = _BEGINS_WITH_MARKS.sub(b"", data) if line_begins else data
        # The rest of a mark may stand in the next chunk.
        held = next(filter(data.endswith, _BEGUN_MARKS), b"")
        text = data.removesuffix(held)
        line_begins = text.endswith(b"\n") if text else line_begins
        yield text
    yield held


def _line_ends_of(head: bytes) -> str:
    if b"\n" not in head:
        return "CR" if b"\r" in head else "LF"
    line = _first_line(head)
    return {0: "LF", 1: "CRLF"}.get(len(line) - len(line.rstrip(b"\r")), "CRCRLF")


def _with_line_feeds(chunks: Iterator[bytes], *, alone: bool) -> Iterator[bytes]:
    """Yield the text with a line feed for each line end.

    Args:
        chunks: the text.
        alone: whether a carriage return ends a line also where no line feed follows. Otherwise it is a character.
    """
    held = b""
    for chunk in chunks:
        data = held + chunk
        if b"\r" not in data:
            held = b""
            yield data
            continue
        # A line feed may follow in the next chunk.
        whole = data.rstrip(b"\r")
        held = data[len(whole) :][:LINE_BYTES]
        while b"\r\n" in whole:
            whole = whole.replace(b"\r\n", b"\n")
        yield whole.replace(b"\r", b"\n") if alone else whole


def _without_end_of_file(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the text without the Ctrl-Z at its end."""
    held = b""
    for chunk in chunks:
        data = held + chunk
        text = data.rstrip(_END_OF_FILE)
        held = data[len(text) :][:LINE_BYTES]
        yield text


def _without_conflict(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the text.

    Raises:
        ListError: it holds a conflict. Nothing of the chunk with the conflict was yielded.
    """
    line = b""
    for chunk in chunks:
        data = line + chunk
        # To search for one byte costs next to nothing, and most lists do not hold it.
        is_marked = any(mark[:1] in data and mark in data for mark in _CONFLICT_MARKS)
        if is_marked and (found := _CONFLICT.search(data)) is not None:
            mark = found[0].decode(errors="replace")
            raise ListError(
                f"two versions of it were merged, and a conflict is left, which begins or ends with {mark!r}: remove "
                f"one of the two sides and the marks"
            )
        # The beginning of the last line, which may go on in the next chunk.
        line = data[data.rfind(b"\n") + 1 :][:_CONFLICT_BEGINS]
        yield chunk
