"""Translates English texts of the library where they are shown: each is the template of the catalogue that fits it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Final, NamedTuple

from stopcast.i18n.catalogue import entries
from stopcast.i18n.language import Language, language

_FIELD: Final = re.compile(r"\{(\w+)[^{}]*\}")
#: Fields whose values are texts of the library themselves. Any other value is an identifier, a path or a number.
TEXTS: Final = frozenset({
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


def without_spaces(text: str, fields: Mapping[str, object]) -> str:
    """Return the text with its fields still to be filled: no spaces stand beside those that hold Chinese."""

    def closed(match: re.Match[str]) -> str:
        value = fields[match["name"]]
        shown = value if isinstance(value, str) else ""
        left = "" if _BEGINS.match(shown) else match["left"] or ""
        right = "" if _ENDS.search(shown) else match["right"] or ""
        return f"{left}{{{match['name']}{match['form']}}}{right}"

    return _SPACED.sub(closed, text)


def enumerated(name: str, value: str) -> str:
    """Return the names that a field holds with the marks of the language between them."""
    return value.replace(", ", "、") if name in _NAMES and language() is not Language.EN else value


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
    """A message of the catalogue: its parts around the fields, the names of the fields, and its translation."""

    parts: tuple[str, ...]
    names: tuple[str, ...]
    translation: str

    @classmethod
    def of(cls, message: str, translation: str) -> _Template:
        parts = _FIELD.split(message)
        return cls(tuple(map(_literal, parts[::2])), tuple(parts[1::2]), translation)

    def applied_to(self, text: str) -> str | None:
        """Return the translation with the values that the text has for the fields, None if the text is another's."""
        if not all(part in text for part in self.parts) or not (match := _pattern(self).fullmatch(text)):
            return None
        fields = match.groupdict()
        values = {
            name: translate(value) if name in TEXTS else enumerated(name, value) for name, value in fields.items()
        }
        parts = _FIELD.split(without_spaces(self.translation, values))
        return "".join(values[part] if number % 2 else _literal(part) for number, part in enumerate(parts))


def _literal(part: str) -> str:
    return part.replace("{{", "{").replace("}}", "}")


@cache
def _pattern(template: _Template) -> re.Pattern[str]:
    pattern = re.escape(template.parts[0])
    for number, (name, part) in enumerate(zip(template.names, template.parts[1:], strict=True)):
        # A colon in a name at either end shows that another text stands around this one.
        at_an_end = not pattern or (not part and number == len(template.names) - 1)
        value = "(?:(?!: ).)+?" if at_an_end and name not in TEXTS else ".+?"
        known = name in template.names[:number]
        pattern += (f"(?P={name})" if known else f"(?P<{name}>{value})") + re.escape(part)
    return re.compile(pattern, re.DOTALL)


@cache
def _templates() -> list[_Template]:
    templates = [_Template.of(message, translation) for message, translation in entries()]
    # A template without a word of its own fits nearly every text.
    useful = [template for template in templates if re.search("[A-Za-z]{2}", "".join(template.parts))]
    return sorted(useful, key=lambda template: len("".join(template.parts)), reverse=True)
