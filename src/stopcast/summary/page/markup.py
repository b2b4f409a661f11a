"""Texts and numbers in the form of the page. Everything from outside must pass through ``text``."""

from __future__ import annotations

import html
import time
from typing import Final

from stopcast.i18n import Language, duration, visible

_CUT_AT: Final = 200
_SHORT_SECONDS: Final = 10


def text(value: str, *, cut_at: int = _CUT_AT) -> str:
    """Return a text as HTML: escaped, with invisible characters written out, and cut."""
    shown = visible(value)
    return html.escape(shown if len(shown) <= cut_at else f"{shown[: cut_at - 1]}…")


def percent(part: int, whole: int) -> str:
    """Return a share in percent; only the whole is 100%, and only nothing is 0%."""
    if part in {0, whole}:
        return "100%" if part else "0%"
    return f"{min(max(part / whole, 0.001), 0.999):.1%}"


def seconds(value: float) -> str:
    """Return a short duration with the precision that it was kept with: ``45 ms``, ``4.02 s``."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.3g} s"


def took(value: float) -> str:
    """Return a duration of any length."""
    return seconds(value) if value < _SHORT_SECONDS else duration(value)


def moment(at: float, *, dated: bool = True) -> str:
    """Return Unix time in UTC, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S" if dated else "%H:%M:%S", time.gmtime(at))


def rate(value: float, language: Language) -> str:
    """Return a rate."""
    number = f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"  # noqa: PLR2004 - digits
    return language(f"{number} a second", f"每秒 {number}")
