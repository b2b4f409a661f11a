"""Makes values in less time, where one or more are made for every row or call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import Field, field, fields, make_dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")
V = TypeVar("V", bound=tuple[Any, ...])


def maker(kind: type[T]) -> type[T]:
    """Return what makes values of this frozen dataclass with slots, to be called as the class itself is.

    The class calls ``object.__setattr__`` for each field. Here the fields are set as usual while the value is of a
    class with the same slots that is not frozen, and then it becomes one of ``kind``.
    """

    def freeze(value: Any) -> None:
        value.__class__ = kind

    def like(it: Field[Any]) -> Any:
        return field(default=it.default, default_factory=it.default_factory, kw_only=it.kw_only)

    same = [(it.name, it.type, like(it)) for it in fields(kind)]
    namespace = {"__doc__": kind.__doc__, "__post_init__": freeze}
    # Only its creation is used. The rest would take time at each start.
    made = make_dataclass(kind.__name__, same, namespace=namespace, repr=False, eq=False, match_args=False, slots=True)
    return cast("type[T]", made)


def all_of(kind: type[V], rows: Iterable[tuple[Any, ...]]) -> Iterator[V]:
    """Return a value of this named tuple's class for each tuple of its fields. No Python code runs for a row."""
    return map(partial(tuple.__new__, kind), rows)
