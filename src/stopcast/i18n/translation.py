"""Translates the messages that commands fill in, and the finished English texts of the library where they are shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from io import BytesIO
from struct import unpack_from
from typing import TYPE_CHECKING, Final, NamedTuple

from stopcast.i18n.language import Language, language

if TYPE_CHECKING:
    from gettext import NullTranslations

_FIELD: Final = re.compile(r"\{(\w+)[^{}]*\}")
#: A field that is formatted as a number.
_NUMBER: Final = re.compile(r"\{(\w+):[^{}]*[,dfg]\}")
#: Fields whose values are texts of the library themselves. Any other value is an identifier, a path or a number.
_TEXTS: Final = frozenset({
    "advice", "bad", "description", "error", "failure", "kind", "message", "note", "number_type", "place", "quoted",
    "reason", "shown", "source", "status", "strerror", "what", "why",
})  # fmt: skip
#: Fields that hold several names with commas between.
_NAMES: Final = frozenset({"KEYS", "choices", "expected", "found", "keys", "known", "missing", "names", "words"})
#: What is set without a space before and after it: Chinese characters and marks.
_CHINESE: Final = "一-鿿、。，：；？！（）“”"  # noqa: RUF001 - Chinese marks
_SPACED: Final = re.compile(
    rf"(?P<left>(?<=[{_CHINESE}]) )?\{{(?P<name>\w+)(?P<form>[^{{}}]*)\}}(?P<right> (?=[{_CHINESE}]))?"
)
_BEGINS, _ENDS = re.compile(f"[{_CHINESE}]"), re.compile(f"[{_CHINESE}]$")


class Verbatim(str):
    """A field that is shown as it is, because it is a text from outside, or translated already."""

    __slots__ = ()


def gettext(message: str, /, **fields: object) -> str:
    """Return the message in the language of now, with the fields in place of their placeholders.

    A field is translated itself if it is an exception, or if its name says that it is a text of the library.
    """
    text = _translations(language()).gettext(message)
    return _filled(text, fields) if fields else text


def ngettext(singular: str, plural: str, number: int, /, **fields: object) -> str:
    """Return the one of two messages that fits the number, as ``gettext`` does; ``number`` is a field too."""
    text = _translations(language()).ngettext(singular, plural, number)
    return _filled(text, {"number": number, **fields})


_ = gettext


def _filled(text: str, fields: Mapping[str, object]) -> str:
    shown = {name: _shown(name, value) for name, value in fields.items()}
    return (text if language() is Language.EN else _without_spaces(text, shown)).format(**shown)


def _shown(name: str, value: object) -> object:
    if isinstance(value, Exception):
        return translate(str(value))
    return _translated_field(name, value) if isinstance(value, str) and not isinstance(value, Verbatim) else value


def _translated_field(name: str, value: str) -> str:
    if name in _TEXTS:
        return translate(value)
    return value.replace(", ", "、") if name in _NAMES and language() is not Language.EN else value


def _without_spaces(text: str, fields: Mapping[str, object]) -> str:
    """Return the text with its fields still to be filled: no spaces stand beside those that hold Chinese."""

    def closed(match: re.Match[str]) -> str:
        value = fields[match["name"]]
        shown = value if isinstance(value, str) else ""
        left = "" if _BEGINS.match(shown) else match["left"] or ""
        right = "" if _ENDS.search(shown) else match["right"] or ""
        return f"{left}{{{match['name']}{match['form']}}}{right}"

    return _SPACED.sub(closed, text)


def translate(text: str) -> str:
    """Return an English text of the library in the language of now: an error, a record of the log, a reason.

    Its template is the one in the catalogue that fits it and has the most characters of its own. A text that fits none,
    such as one of the API, stays as it is.
    """
    if language() is Language.EN:
        return text
    for template in _templates():
        if (translated := template.applied_to(text)) is not None:
            return translated
    if "\n" in text:
        return "\n".join(map(translate, text.split("\n")))
    if text.startswith(" "):
        return " " + translate(text[1:])
    # Such as an error after the path that it is about.
    head, colon, tail = text.partition(": ")
    if colon and (translated := translate(tail)) != tail:
        # A single word is a name, whatever it means elsewhere.
        return f"{translate(head) if ' ' in head else head}：{translated}"  # noqa: RUF001
    return text


class _Template(NamedTuple):
    """A message of the catalogue: its parts around the fields, their names, those of numbers, and its translation."""

    parts: tuple[str, ...]
    names: tuple[str, ...]
    numbers: frozenset[str]
    translation: str

    @classmethod
    def of(cls, message: str, translation: str) -> _Template:
        parts = _FIELD.split(message)
        numbers = frozenset(_NUMBER.findall(message))
        return cls(tuple(map(_literal, parts[::2])), tuple(parts[1::2]), numbers, translation)

    def applied_to(self, text: str) -> str | None:
        """Return the translation with the values that the text has for the fields, None if the text is another's."""
        if not all(part in text for part in self.parts) or not (match := _pattern(self).fullmatch(text)):
            return None
        values = {name: _translated_field(name, value) for name, value in match.groupdict().items()}
        parts = _FIELD.split(_without_spaces(self.translation, values))
        return "".join(values[part] if number % 2 else _literal(part) for number, part in enumerate(parts))


def _literal(part: str) -> str:
    return part.replace("{{", "{").replace("}}", "}")


@cache
def _pattern(template: _Template) -> re.Pattern[str]:
    pattern = re.escape(template.parts[0])
    for number, (name, part) in enumerate(zip(template.names, template.parts[1:], strict=True)):
        # A colon in a name at either end shows that another text stands around this one.
        at_an_end = not pattern or (not part and number == len(template.names) - 1)
        value = "(?:(?!: ).)+?" if at_an_end and name not in _TEXTS else ".+?"
        if name in template.numbers:
            value = r"[\d,.e+-]+"
        known = name in template.names[:number]
        pattern += (f"(?P={name})" if known else f"(?P<{name}>{value})") + re.escape(part)
    return re.compile(pattern, re.DOTALL)


@cache
def _templates() -> list[_Template]:
    templates = [_Template.of(message, translation) for message, translation in _entries()]
    # A template without a word of its own fits nearly every text.
    useful = [template for template in templates if re.search("[A-Za-z]{2}", "".join(template.parts))]
    return sorted(useful, key=lambda template: len("".join(template.parts)), reverse=True)


def _entries() -> Iterator[tuple[str, str]]:
    """Yield the messages of the catalogue with their translations, which the gettext module keeps to itself."""
    compiled = _compiled()
    number, messages, translations = unpack_from("<3I", compiled, 8)
    for index in range(number):
        message, translation = (
            compiled[start : start + length].decode()
            for length, start in (unpack_from("<2I", compiled, table + 8 * index) for table in (messages, translations))
        )
        # Both forms of a message with a plural have one translation.
        yield from ((form, translation) for form in message.split("\0") if form)


@cache
def _translations(into: Language) -> NullTranslations:
    """Return the translations into a language; those into English are the messages themselves."""
    from gettext import GNUTranslations, NullTranslations  # noqa: PLC0415 - not needed for most errors of usage

    return NullTranslations() if into is Language.EN else GNUTranslations(BytesIO(_compiled()))


def _compiled() -> bytes:
    """Return the catalogue as gettext reads it."""
    from importlib.resources import files  # noqa: PLC0415 - not needed for most errors of usage

    return files("stopcast").joinpath("locale", "zh_CN", "LC_MESSAGES", "stopcast.mo").read_bytes()
