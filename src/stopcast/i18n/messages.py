"""Translates the messages of the commands, which are whole sentences in English with named placeholders."""

from __future__ import annotations

from collections.abc import Mapping

from stopcast.i18n.catalogue import translations
from stopcast.i18n.language import Language, language
from stopcast.i18n.templates import TEXTS, enumerated, translate, without_spaces


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


def _filled(text: str, fields: Mapping[str, object]) -> str:
    return (text if language() is Language.EN else without_spaces(text, fields)).format(**fields)


def _shown(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: _shown_field(name, value) for name, value in fields.items()}


def _shown_field(name: str, value: object) -> object:
    if isinstance(value, Verbatim):
        return value
    if isinstance(value, Exception) or (name in TEXTS and isinstance(value, str)):
        return translate(str(value))
    return enumerated(name, value) if isinstance(value, str) else value
