"""How much memory a piece of code takes at its peak."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager


class Peak:
    """The most memory that Python's objects took while a block ran, in bytes; set when the block has ended."""

    bytes: int


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Measure a block. What was allocated before it does not count, unlike in the process's own peak."""
    peak = Peak()
    tracemalloc.start()
    try:
        yield peak
        _, peak.bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
