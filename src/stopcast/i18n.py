"""English and Chinese: the language of a command, its messages in that language, and the words for statuses.

A message is one whole sentence in English with named placeholders. ``_`` translates it where it stands, ``ngettext``
where it depends on a number; ``N_`` only marks it, for ``_`` to translate later. The translations are a gettext
catalogue in ``locale/``. Reports, JSON and the JSON log are English in every language.

The library is English too: ``translate`` finds the translation of its errors, events and outcomes where they are shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from functools import cache
from io import BytesIO
from itertools import pairwise
from struct import unpack_from
from typing import TYPE_CHECKING, Final, NamedTuple

from stopcast.marking import N_ as N_  # noqa: PLC0414 - exported: most modules import it from here
from stopcast.tasks.outcome import Status

if TYPE_CHECKING:
    from gettext import NullTranslations

_DOMAIN: Final = "stopcast"


class Language(StrEnum):
    """A language that the commands speak."""

    EN = "en"
    ZH = "zh"

    @classmethod
    def chosen(cls, arguments: Sequence[str], environ: Mapping[str, str]) -> Language:
        """Return the language of ``--lang`` or ``STOPCAST_LANG``, or else Chinese if the locale is, or else English.

        The locale is the first of its variables that is set, in the order of POSIX. Another value than a language's is
        ignored here; the command refuses it when it reads its options.
        """
        options = [value for name, value in pairwise(arguments) if name == "--lang"]
        options += [argument.removeprefix("--lang=") for argument in arguments if argument.startswith("--lang=")]
        for value in (*options, environ.get("STOPCAST_LANG")):
            if value in set(cls):
                return cls(value)
        names = (environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
        return cls.ZH if next(filter(None, names), "").lower().startswith("zh") else cls.EN


class Both(NamedTuple):
    """A text in both languages."""

    en: str
    zh: str

    def of(self, language: Language) -> str:
        """Return the text in a language."""
        return self.zh if language is Language.ZH else self.en


_language: ContextVar[Language] = ContextVar("language", default=Language.EN)


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Translate messages into a language while the block lasts; outside of any block they are English."""
    before = _language.set(language)
    try:
        yield
    finally:
        _language.reset(before)


def language() -> Language:
    """Return the language that messages are translated into now."""
    return _language.get()


def gettext(message: str, /, **fields: object) -> str:
    """Return the message in the language of now, with the fields in place of their placeholders.

    A field is translated itself if it is an exception, or if its name says that it is a text of the library.
    """
    text = _translations(language()).gettext(message)
    return _filled(text, _shown(fields)) if fields else text


def ngettext(singular: str, plural: str, number: int, /, **fields: object) -> str:
    """Return the one of two messages that fits the number, as ``gettext`` does; ``number`` is a field too."""
    text = _translations(language()).ngettext(singular, plural, number)
    return _filled(text, {"number": number, **_shown(fields)})


_ = gettext


@cache
def _translations(language: Language) -> NullTranslations:
    from gettext import GNUTranslations, NullTranslations  # noqa: PLC0415 - not needed for most errors of usage

    return NullTranslations() if language is Language.EN else GNUTranslations(BytesIO(_compiled()))


def _compiled() -> bytes:
    from importlib.resources import files  # noqa: PLC0415 - not needed for most errors of usage

    return files("stopcast").joinpath("locale", "zh_CN", "LC_MESSAGES", f"{_DOMAIN}.mo").read_bytes()


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
    return isinstance(value, Exception) or (name in _TEXTS and isinstance(value, str))


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


_FIELD: Final = re.compile(r"\{(\w+)[^{}]*\}")
#: Fields whose values are texts of the library themselves. Any other value is an identifier, a path or a number.
_TEXTS: Final = frozenset({
    "advice", "bad", "description", "error", "failure", "kind", "message", "note", "number_type", "place", "quoted",
    "reason", "shown", "source", "status", "strerror", "what", "why",
})  # fmt: skip


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
        values = {name: translate(value) if name in _TEXTS else value for name, value in fields.items()}
        parts = _FIELD.split(self.translation)
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
        known = name in template.names[:number]
        pattern += (f"(?P={name})" if known else f"(?P<{name}>{value})") + re.escape(part)
    return re.compile(pattern, re.DOTALL)


@cache
def _templates() -> list[_Template]:
    templates = [_Template.of(message, translation) for message, translation in _entries(_compiled())]
    # A template without a word of its own fits nearly every text.
    useful = [template for template in templates if re.search("[A-Za-z]{2}", "".join(template.parts))]
    return sorted(useful, key=lambda template: len("".join(template.parts)), reverse=True)


def _entries(compiled: bytes) -> Iterator[tuple[str, str]]:
    """Yield the messages of a compiled catalogue with their translations."""
    number, messages, translations = unpack_from("<3I", compiled, 8)
    for index in range(number):
        message, translation = (
            compiled[start : start + length].decode()
            for length, start in (unpack_from("<2I", compiled, table + 8 * index) for table in (messages, translations))
        )
        # Both forms of a message with a plural have one translation.
        yield from ((form, translation) for form in message.split("\0") if form)


#: Each status as it reads in a sentence, in the order in which a summary lists them.
STATUS_WORDS: Final[Mapping[Status, str]] = {
    Status.STOPPED: N_("stopped"),
    Status.ALREADY_STOPPED: N_("already stopped"),
    Status.PRESUMED_STOPPED: N_("presumed stopped"),
    Status.DUPLICATE: N_("duplicate"),
    Status.EXCLUDED: N_("excluded"),
    Status.FAILED: N_("failed"),
    Status.SET_ASIDE: N_("set aside"),
    Status.GAVE_UP: N_("gave up"),
    Status.INVALID: N_("invalid"),
    Status.ENDED: N_("ended"),
    Status.STILL_RUNNING: N_("still running"),
    Status.NOT_STARTED: N_("not started yet"),
    Status.UNKNOWN: N_("unknown"),
}


def status_counts(statuses: Mapping[Status, int]) -> str:
    """Return the number of rows with each status: ``3 stopped, 1 failed``; "" for none."""
    return _(", ").join(
        _("{number:,} {status}", number=number, status=_(word))
        for status, word in STATUS_WORDS.items()
        if (number := statuses.get(status, 0))
    )


def duration(seconds: float) -> str:
    """Return ``under 1 s``, ``4 s``, ``3 min 20 s``, ``18 h 31 min``."""
    if seconds < 1:
        return _("under 1 s")
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - seconds in a minute
        return _("{seconds} s", seconds=whole)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:  # noqa: PLR2004 - minutes in an hour
        return _("{minutes} min {seconds:02d} s", minutes=minutes, seconds=rest)
    hours, minutes = divmod(minutes, 60)
    return _("{hours} h {minutes:02d} min", hours=hours, minutes=minutes)


def visible(text: str) -> str:
    """Return a text from outside with escapes for characters that are invisible or change the direction of text."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
