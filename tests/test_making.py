"""Values that are made quickly, beside those that their class makes."""

from __future__ import annotations

import pickle
from copy import copy
from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest

from stopcast.making import maker


@dataclass(frozen=True, slots=True)
class Point:
    """A kind with all sorts of fields."""

    x: int
    names: tuple[str, ...] = ()
    others: list[int] = field(default_factory=list)
    y: int = field(default=7, kw_only=True)


QUICK = maker(Point)


def test_what_is_made_is_of_its_kind_and_equal_to_what_the_class_makes() -> None:
    for quick, slow in (
        (QUICK(1), Point(1)),
        (QUICK(1, ("a",), [2], y=3), Point(1, ("a",), [2], y=3)),
        (replace(QUICK(1), x=2), Point(2)),
        (pickle.loads(pickle.dumps(QUICK(1))), Point(1)),
        (copy(QUICK(1, y=2)), Point(1, y=2)),
    ):
        assert type(quick) is Point
        assert quick == slow
        assert repr(quick) == repr(slow)
    assert QUICK(1).others is not QUICK(1).others


def test_what_is_made_is_frozen() -> None:
    point = QUICK(1)
    with pytest.raises(FrozenInstanceError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del point.x


@pytest.mark.parametrize(("given", "names"), [((), {}), ((1, (), [], 4), {}), ((1,), {"z": 2})])
def test_arguments_that_do_not_fit_are_refused(given: tuple[object, ...], names: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        QUICK(*given, **names)  # type: ignore[arg-type]
