"""Numbers and texts in the form of the page."""

from __future__ import annotations

from typing import Final

from stopcast.i18n import visible

_CUT_AT: Final = 200


def cut(text: str, at: int = _CUT_AT) -> str:
    """Return a text as the page shows it: with invisible characters written out, and at most this long."""
    shown = visible(text)
    return shown if len(shown) <= at else f"{shown[: at - 1]}…"


def percent(part: int, whole: int) -> str:
    """Return a share in percent; only the whole is 100%, and only nothing is 0%."""
    if part in {0, whole}:
        return "100%" if part else "0%"
    return f"{min(max(part / whole, 0.001), 0.999):.1%}"


def rate(value: float) -> str:
    """Return a number of calls a second."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"  # noqa: PLR2004 - digits
