"""Marks English texts for the catalogue of translations. Here, below everything, so that each module can."""

from __future__ import annotations


def N_(message: str) -> str:  # noqa: N802 - gettext's usual name
    """Return the message as it is: it is marked for the catalogue, and translated later."""
    return message
