"""Translates the messages of the commands, which are whole sentences in English with named placeholders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from stopcast.i18n.catalogue import translations
from stopcast.i18n.language import Language, language
from stopcast.i18n.templates import TEXTS, translate


class Verbatim(str):
    """A field that is shown as it is, because it is a text from outside, or translated already."""

    __slots__ = ()


def gettext(message: str, /, **fields: object) -> str:
    """Return the message in the language of now, with the fields in place of their placeholders.

    A field is translated itself if it is an exception, or if its name says that it is a text of the library.
    """
    text = translations(language()).gettext(message)
    return _filled(text, _shown(fields)) if fields else text


def ngettext(singular: str, plural: str, number: int, /, **fields: object) -> str:
    """Return the one of two messages that fits the number, as ``gettext`` does; ``number`` is a field too."""
    text = translations(language()).ngettext(singular, plural, number)
    return _filled(text, {"number": number, **_shown(fields)})


_ = gettext


#: A field with the spaces between it and Chinese characters.
_SPACED: Final = re.compile(r"(?P<left>(?<=[一-鿿]) )?(?P<field>\{(?P<name>\w+)[^{}]*\})(?P<right> (?=[一-鿿]))?")


def _filled(text: str, fields: Mapping[str, object]) -> str:
    """Return the text with its fields. The spaces beside them are for numbers and Latin words, not for Chinese."""

    def closed(match: re.Match[str]) -> str:
        value = fields[match["name"]]
        shown = value if isinstance(value, str) else ""
        left = "" if "一" <= shown[:1] <= "鿿" else match["left"] or ""
        right = "" if "一" <= shown[-1:] <= "鿿" else match["right"] or ""
        return f"{left}{match['field']}{right}"

    return (text if language() is Language.EN else _SPACED.sub(closed, text)).format(**fields)


def _shown(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: translate(str(value)) if _is_text(name, value) else value for name, value in fields.items()}


def _is_text(name: str, value: object) -> bool:
    return isinstance(value, Exception) or (
        name in TEXTS and isinstance(value, str) and not isinstance(value, Verbatim)
    )
