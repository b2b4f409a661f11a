"""JSON values out of text that is not one value a line: the elements of an array, or one value after the other.

Never more than one value and one chunk is in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from stopcast.errors import ListError
from stopcast.marking import N_
from stopcast.sources.lines import BATCH_LINES, LINE_BYTES, TOO_LONG, Lines
from stopcast.sources.text import is_utf_8
from stopcast.tasks.task import BrokenRow

#: An object without others in it: most values are one, and are found in one step.
FLAT_OBJECT: Final = re.compile(rb'\{(?:[^{}\[\]"]++|"(?:[^"\\]++|\\.)*+")*+\}', re.DOTALL)
#: Between values, spaces, commas, the record separators of RFC 7464 and byte order marks mean nothing.
_BETWEEN: Final = re.compile(rb'["{}\[\]]|[^\s,"{}\[\]\x1e\xef\xbb\xbf]+')
_INSIDE: Final = re.compile(rb'["{}\[\]]')
NOT_UTF_8_JSON: Final = N_("not JSON: not UTF-8; name the encoding, such as --encoding gb18030")
_IN_STRING: Final = re.compile(rb'"|\\.|\\\Z', re.DOTALL)


class ValueSplitter:
    """Cuts one list's text into JSON values.

    A value's number is the line on which it begins. Where the second value begins on the line of the first, the values
    are counted instead.

    Args:
        in_array: whether the values are the elements of an array.
    """

    def __init__(self, *, in_array: bool) -> None:
        self._in_array = in_array
        #: The nesting in which the values stand, and the nesting at present.
        self._outside = self._depth = 0
        self._in_string = False
        #: The text from the beginning of the value on, or that was not scanned.
        self._text = b""
        self._at = 0
        self._begins = -1
        self._is_too_long = False
        self._line = 1
        self._counted_to = 0
        self._values = self._number = 0
        self._by_line = True

    def split(self, chunk: bytes) -> Iterator[Lines | BrokenRow]:
        """Yield the values that ``chunk`` completes; for each too long one a BrokenRow."""
        for start in range(0, len(chunk), LINE_BYTES):
            yield from _in_batches(self._split(chunk[start : start + LINE_BYTES]))

    def finish(self) -> Iterator[Lines | BrokenRow]:
        """Yield the last value.

        Raises:
            ListError: the list ends within a value, or within the array.
        """
        yield from _in_batches(self._split(b"\n"))
        if self._depth or self._in_string:
            if self._begins >= 0 and not self._is_too_long and not is_utf_8(self._text):
                # In other encodings a character may end in the byte of a backslash, which escapes a quote.
                raise ListError(NOT_UTF_8_JSON)
            raise ListError("its JSON ends too early, within a value or an array; fetch the file again")

    def _split(self, piece: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the values with their numbers; b"" for a value that is too long."""
        self._text += piece
        while (ends := self._step()) is not None:
            if ends:
                value = self._text[self._begins : self._at]
                yield self._number, b"" if self._is_too_long or len(value) > LINE_BYTES else value
                self._begins, self._is_too_long = -1, False
        self._forget()

    def _step(self) -> bool | None:
        """Take the next token, and return whether a value ends with it; None where the next token is still to come."""
        if self._in_string:
            return self._step_in_string()
        found = (_INSIDE if self._depth > self._outside else _BETWEEN).search(self._text, self._at)
        if found is None:
            self._at = len(self._text)
            return None
        token, self._at = found[0], found.end()
        if self._in_array and token == (b"]" if self._depth else b"[") and self._depth == self._outside:
            # The array itself begins or ends.
            self._depth = self._outside = 1 - self._depth
            return False
        if self._begins < 0:
            self._begin(found.start())
            flat = FLAT_OBJECT.match(self._text, self._begins) if token == b"{" else None
            if flat is not None:
                self._at = flat.end()
                return True
        ends = self._advance(token)
        if ends and self._at == len(self._text) and token not in b"]}":
            # The rest of the number or word may be still to come.
            self._at = found.start()
            return None
        return ends

    def _step_in_string(self) -> bool | None:
        found = _IN_STRING.search(self._text, self._at)
        if found is None or found[0] == b"\\":
            self._at = len(self._text) if found is None else found.start()
            return None
        self._at = found.end()
        self._in_string = found[0] != b'"'
        return not self._in_string and self._depth == self._outside

    def _advance(self, token: bytes) -> bool:
        """Take a token, and return whether the value ends with it."""
        if token == b'"':
            self._in_string = True
            return False
        if token in {b"{", b"["}:
            self._depth += 1
            return False
        if token in {b"}", b"]"}:
            self._depth = max(self._depth - 1, self._outside)
        return self._depth == self._outside

    def _begin(self, at: int) -> None:
        """Begin a value, and number it."""
        self._line += self._text.count(b"\n", self._counted_to, at)
        self._begins = self._counted_to = at
        if self._values == 1 and self._number == self._line:
            self._by_line = False
        self._number = self._line if self._by_line else self._number + 1
        self._values += 1

    def _forget(self) -> None:
        """Forget the text that the next piece does not go on with."""
        keep_from = self._at if self._begins < 0 else self._begins
        if self._begins >= 0 and len(self._text) - self._begins > LINE_BYTES:
            self._is_too_long = True
            keep_from = max(self._at, len(self._text) - 1)
        self._line += self._text.count(b"\n", self._counted_to, keep_from)
        self._text = self._text[keep_from:]
        self._at = max(0, self._at - keep_from)
        self._counted_to = 0
        self._begins = min(self._begins, 0)


def _in_batches(values: Iterator[tuple[int, bytes]]) -> Iterator[Lines | BrokenRow]:
    numbers: list[int] = []
    texts: list[bytes] = []
    for number, value in values:
        if value:
            numbers.append(number)
            texts.append(value)
        if texts and (len(texts) == BATCH_LINES or not value):
            yield Lines(numbers, texts)
            numbers, texts = [], []
        if not value:
            yield BrokenRow(TOO_LONG, number)
    if texts:
        yield Lines(numbers, texts)
