"""The compiled catalogue of gettext in ``locale/``, read when a message is first translated."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from io import BytesIO
from struct import unpack_from
from typing import TYPE_CHECKING, Final

from stopcast.i18n.language import Language

if TYPE_CHECKING:
    from gettext import NullTranslations

_DOMAIN: Final = "stopcast"


@cache
def translations(language: Language) -> NullTranslations:
    """Return the translations into a language; those into English are the messages themselves."""
    from gettext import GNUTranslations, NullTranslations  # noqa: PLC0415 - not needed for most errors of usage

    return NullTranslations() if language is Language.EN else GNUTranslations(BytesIO(_compiled()))


def _compiled() -> bytes:
    from importlib.resources import files  # noqa: PLC0415 - not needed for most errors of usage

    return files("stopcast").joinpath("locale", "zh_CN", "LC_MESSAGES", f"{_DOMAIN}.mo").read_bytes()


def entries() -> Iterator[tuple[str, str]]:
    """Yield the messages of the catalogue with their translations."""
    compiled = _compiled()
    number, messages, translations = unpack_from("<3I", compiled, 8)
    for index in range(number):
        message, translation = (
            compiled[start : start + length].decode()
            for length, start in (unpack_from("<2I", compiled, table + 8 * index) for table in (messages, translations))
        )
        # Both forms of a message with a plural have one translation.
        yield from ((form, translation) for form in message.split("\0") if form)
