"""English and Chinese: the language of a command, its messages in that language, and the words for statuses.

A message is one whole sentence in English with named placeholders. ``_`` translates it where it stands, ``ngettext``
where it depends on a number. ``marking.N_`` only marks it, for ``_`` to translate later. The translations are a gettext
catalogue in ``locale/``. Reports, JSON and the JSON log are English in every language.

The library is English too: ``translate`` finds the translation of its errors, events and outcomes where they are shown.
"""

from stopcast.i18n.language import Both, Language, language, speaking, values_given
from stopcast.i18n.translation import Verbatim, _, gettext, ngettext, translate
from stopcast.i18n.words import STATUS_WORDS, duration, status_counts, visible

__all__ = [
    "STATUS_WORDS",
    "Both",
    "Language",
    "Verbatim",
    "_",
    "duration",
    "gettext",
    "language",
    "ngettext",
    "speaking",
    "status_counts",
    "translate",
    "values_given",
    "visible",
]
