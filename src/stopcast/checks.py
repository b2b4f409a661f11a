"""Checks of settings, which refuse with words what makes no sense; and the names that a misspelt word may mean."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

from stopcast.errors import ConfigurationError

#: The share of letters that a name and a misspelling of it have in common. Below it they are two words.
_NEAR: Final = 0.75
_MOST_NEAR: Final = 5


def check_number(
    name: str, value: Any, *, above: float | None = None, least: float | None = None, most: float | None = None
) -> None:
    """Refuse a value that is no finite number, too small or too large.

    Raises:
        ConfigurationError: it is refused.
    """
    if not is_number(value):
        raise ConfigurationError(f"{name} must be a number, not {type(value).__name__}")
    if not is_finite(value):
        raise ConfigurationError(f"{name} must be a finite number")
    if above is not None and value <= above:
        raise ConfigurationError(f"{name} must be above {above:g}, not {value:g}")
    if least is not None and value < least:
        raise ConfigurationError(f"{name} must be at least {least:g}, not {value:g}")
    if most is not None and value > most:
        raise ConfigurationError(f"{name} must be at most {most:g}, not {value:g}")


def is_number(value: object) -> bool:
    """Return whether it is a number of Python's own. A truth value is none, and a Decimal does not go with floats."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_finite(value: float) -> bool:
    """Return whether it can be counted with. A whole number may be too long for that, too."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def check_whole_number(name: str, value: Any, *, least: int) -> None:
    """Refuse a value that is no whole number, or too small.

    Raises:
        ConfigurationError: it is refused.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigurationError(f"{name} must be a whole number, not {type(value).__name__}")
    check_number(name, value, least=least)


def check_priority(value: Any) -> None:
    """Refuse a priority that cannot be compared with others.

    Raises:
        ConfigurationError: it is no finite number.
    """
    if not isinstance(value, bool):
        check_number("priority", value)


def check_instance(name: str, value: object, *kinds: type) -> None:
    """Refuse a value of another type; None is accepted.

    Raises:
        ConfigurationError: it is refused.
    """
    if value is not None and not isinstance(value, kinds):
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise ConfigurationError(f"{name} must be {expected}, not {type(value).__name__}")


def near_names(word: str, names: Iterable[str]) -> list[str]:
    """Return the names that a misspelt word may mean, the nearest first; none where none is near."""
    from difflib import get_close_matches  # noqa: PLC0415 - most commands need no suggestion

    names = list(names)
    # In a short word two letters that have changed places are too much for the share above.
    shuffled = (name for name in names if sorted(name) == sorted(word))
    return list(dict.fromkeys((*shuffled, *get_close_matches(word, names, n=_MOST_NEAR, cutoff=_NEAR))))


def check_methods(name: str, value: object, *methods: str) -> None:
    """Refuse an object that lacks one of these methods, and a class that was given instead of an object.

    Raises:
        ConfigurationError: it is refused.
    """
    if isinstance(value, type) or not all(callable(getattr(value, method, None)) for method in methods):
        raise ConfigurationError(f"{name} must be an object with {' and '.join(methods)}, not {type(value).__name__}")
