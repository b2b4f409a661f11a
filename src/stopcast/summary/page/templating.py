"""The templates of the page. Every text is escaped, and its invisible characters are written out, as it is printed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from stopcast import i18n
from stopcast.summary.page.numbers import percent
from stopcast.summary.totals import Total
from stopcast.tasks.outcome import Status


def source(name: str) -> str:
    """Return a file of the folder ``templates`` as it is."""
    return files("stopcast.summary.page").joinpath("templates", name).read_text("utf-8")


@cache
def environment() -> Environment:
    """Return the environment in which the templates are rendered."""
    # S701 is about templates that are not escaped; these are, whatever their name.
    made = Environment(
        loader=FunctionLoader(source),
        autoescape=True,
        finalize=_written_out,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals |= {"_": _gettext, "ngettext": i18n.ngettext, "counts": _counts, "percent": percent, "word": _word}
    made.filters |= {"in_order": _in_order, "breakable": _breakable, "as_id": _as_id, "as_code": _as_code}
    return made


def _written_out(value: Any) -> Any:
    return i18n.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _gettext(message: str, **fields: Any) -> Markup:
    """Return a message of the catalogue, which may hold markup, with its fields escaped."""
    return Markup(i18n.gettext(message)).format(**{name: _written_out(value) for name, value in fields.items()})  # noqa: S704


def _counts(total: Total) -> str:
    return i18n.status_counts(total.statuses)


def _word(status: Status) -> str:
    return i18n.gettext(i18n.STATUS_WORDS[status])


def _in_order(statuses: Mapping[Status, int]) -> Iterator[tuple[Status, int]]:
    return ((status, statuses[status]) for status in i18n.STATUS_WORDS if statuses[status])


def _breakable(text: str) -> Markup:
    """Return a code or a place with line breaks allowed between its parts, for narrow columns."""
    return Markup("<wbr>").join(re.split(r"(?<=[.:])(?=\w)", i18n.visible(text)))


def _as_id(text: str) -> Markup:
    return Markup('<span class="id">{}</span>').format(i18n.visible(text))


def _as_code(text: str) -> Markup:
    return Markup("<code>{}</code>").format(i18n.visible(text))
