"""Counters and histograms for Prometheus that take little time, for what is counted at every call.

They are exported as prometheus-client exports its own, which lock at each number and take three to four times as long.
Several processes that share their metrics in files (``PROMETHEUS_MULTIPROC_DIR``) need prometheus-client's own.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import accumulate
from typing import Final, Generic, Protocol, TypeVar

from prometheus_client import CollectorRegistry, Counter, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

#: The end of a sample's name, its further labels, and its value.
Sample = tuple[str, dict[str, str], float]

_CREATED: Final = "_created"
#: It shows whether prometheus-client exports when a metric was created, which a program can turn off.
_PROBE: Final = Counter("probe", "This one is never exported.", registry=None)


class Child(Protocol):
    """What is counted under one set of labels."""

    def samples(self) -> Sequence[Sample]:
        """Return what is exported."""


class Count:
    """Counts events. The lock of its ``Tallies`` has to be held."""

    __slots__ = ("_events",)

    def __init__(self) -> None:
        self._events = 0

    def inc(self) -> None:
        """Count one event."""
        self._events += 1

    def samples(self) -> Sequence[Sample]:
        """Return what is exported."""
        return [("_total", {}, self._events)]


class Buckets:
    """Counts amounts by their size. The lock of its ``Tallies`` has to be held.

    Args:
        bounds: the largest amount of each bucket, in rising order.
    """

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, amount: float) -> None:
        """Count one amount."""
        self._counts[bisect_left(self._bounds, amount)] += 1
        self._sum += amount

    def samples(self) -> Sequence[Sample]:
        """Return what is exported."""
        counts = list(accumulate(self._counts))
        bounds = map(floatToGoString, (*self._bounds, math.inf))
        return [
            *(("_bucket", {"le": bound}, count) for bound, count in zip(bounds, counts, strict=True)),
            ("_count", {}, counts[-1]),
            ("_sum", {}, self._sum),
        ]


C = TypeVar("C", bound=Child)


class Tallies(Collector, Generic[C]):
    """A metric, with a child for each set of labels.

    Args:
        kind: ``counter`` or ``histogram``.
        name: without the endings that its kind gives it.
        text: what it measures.
        label_names: of its labels.
        make: makes a child.
        lock: is held while the children are read, and has to be held where they count. It can be entered again.
        registry: where the metric is registered.

    Raises:
        ValueError: the registry has a metric of this name.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        text: str,
        label_names: Sequence[str],
        make: Callable[[], C],
        *,
        lock: AbstractContextManager[object],
        registry: CollectorRegistry,
    ) -> None:
        self._kind, self._name, self._text = kind, name, text
        self._label_names = label_names
        self._make = make
        self._lock = lock
        self._children: dict[tuple[str, ...], tuple[C, float]] = {}
        registry.register(self)

    def labels(self, **labels: str) -> C:
        """Return the child that has these labels.

        Raises:
            ValueError: the labels have other names.
        """
        if labels.keys() != set(self._label_names):
            raise ValueError(f"the labels of {self._name} are {', '.join(self._label_names)}, not {', '.join(labels)}")
        values = tuple(str(labels[name]) for name in self._label_names)
        with self._lock:
            return self._children.setdefault(values, (self._make(), time.time()))[0]

    def describe(self) -> Iterator[Metric]:
        """Return the metric without its values, for the registry."""
        yield Metric(self._name, self._text, self._kind)

    def collect(self) -> Iterator[Metric]:
        """Return the metric, for the registry."""
        (metric,) = self.describe()
        with_created = any(sample.name.endswith(_CREATED) for probe in _PROBE.collect() for sample in probe.samples)
        with self._lock:
            children = [(values, child.samples(), created) for values, (child, created) in self._children.items()]
        for values, samples, created in children:
            labels = dict(zip(self._label_names, values, strict=True))
            for ending, more, value in (*samples, *([(_CREATED, {}, created)] if with_created else [])):
                metric.add_sample(self._name + ending, labels | more, value)
        yield metric
