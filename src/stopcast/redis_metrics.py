"""What queues and shared quotas come to, as metrics for Prometheus (extras ``prometheus`` and ``redis``).

    from stopcast.redis_metrics import RedisMetrics

    async with RedisMetrics(queues=["redis://host:6379/0/recordings"], quotas=[("redis://host:6379/0", "main")]):
        ...

They are the figures of ``stopcast status``, and belong to the whole fleet: each process that tells them tells the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from stopcast.errors import QueueError, QuotaLostError, StopcastError
from stopcast.fleet.queue import QueueStatus, RedisQueue
from stopcast.fleet.quota.quota_status import QuotaStatus, quota_status

T = TypeVar("T")
Kind = type[GaugeMetricFamily] | type[CounterMetricFamily]
Figures = dict[str, tuple[Kind, str, Callable[[Any], float]]]

#: What each metric tells, and where it is in a QueueStatus. Its unit is the end of its name.
_OF_QUEUES: Final[Figures] = {
    "stopcast_queue_length": (GaugeMetricFamily, "Tasks in the queue.", lambda it: it.length),
    "stopcast_queue_pending": (GaugeMetricFamily, "Those of them that workers have.", lambda it: it.pending),
    "stopcast_queue_oldest_seconds": (
        GaugeMetricFamily,
        "How long the oldest of them has been there; 0 if there is none.",
        lambda it: it.oldest_seconds or 0.0,
    ),
    "stopcast_queue_workers": (GaugeMetricFamily, "Workers not given up yet.", lambda it: len(it.workers)),
    "stopcast_queue_dead_letters": (GaugeMetricFamily, "Tasks delivered too often.", lambda it: it.dead),
    "stopcast_queue_results": (GaugeMetricFamily, "Outcomes in the results stream.", lambda it: it.results),
}
#: The same of a QuotaStatus.
_OF_QUOTAS: Final[Figures] = {
    "stopcast_quota_rate_limit_calls_per_second": (
        GaugeMetricFamily,
        "Calls a second that the account may make now.",
        lambda it: it.rate,
    ),
    "stopcast_quota_held_seconds": (GaugeMetricFamily, "For which nobody may call yet.", lambda it: it.held_seconds),
    "stopcast_quota_worst_second_permits": (
        GaugeMetricFamily,
        "The most permits in any second of Redis' clock.",
        lambda it: it.worst_second,
    ),
    "stopcast_quota_permits": (CounterMetricFamily, "Permits given out.", lambda it: it.permits),
    "stopcast_quota_throttled": (CounterMetricFamily, "Throttled answers.", lambda it: it.throttled),
}


class RedisMetrics(Collector):
    """Keeps the metrics of queues and quotas up to date while it is entered. An async context manager.

    What Redis cannot be asked about is left out of a scrape until it can be again, so that no old figure passes for a
    new one; a figure is never older than ``every_seconds`` and the time-out of 5 s for each answer.

    Args:
        registry: where the metrics are registered, Prometheus' own by default.
        queues: URLs, as for ``RedisQueue``. Their names are the label ``queue``, so no two may have the same.
        quotas: of each, the URL and the account, as for ``SharedQuota``, and the action unless it is ``StopWebcast``.
            Account and action are labels.
        every_seconds: how often Redis is asked.

    Raises:
        ConfigurationError: no such URL, redis-py is not installed, or Redis refuses whoever asks.
        ValueError: when entered, the registry has metrics of these names already.
    """

    def __init__(
        self,
        registry: CollectorRegistry = REGISTRY,
        *,
        queues: Collection[str] = (),
        quotas: Collection[tuple[str, str] | tuple[str, str, str]] = (),
        every_seconds: float = 5.0,
    ) -> None:
        self._registry = registry
        self._queues = [RedisQueue(url) for url in queues]
        self._quotas = quotas
        self._every_seconds = every_seconds
        # Replaced as a whole, since a scrape comes from another thread.
        self._queues_stand: Sequence[QueueStatus | None] = ()
        self._quotas_stand: Sequence[QuotaStatus | None] = ()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for queue in self._queues:
                await stack.enter_async_context(queue)
            await self._look((QueueError, QuotaLostError))
            self._registry.register(self)
            stack.callback(self._registry.unregister, self)
            looking = asyncio.create_task(self._keep_looking())
            stack.push_async_callback(asyncio.wait, [looking])
            stack.callback(looking.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def collect(self) -> Iterator[Metric]:
        """Return the metrics, for the registry."""
        # Of an account that nobody asked for within a day nothing is known, which is not 0.
        quotas = [it for it in self._quotas_stand if it and it.rate is not None]
        for figures, label_names, stand in (
            (_OF_QUEUES, ["queue"], [([it.name], it) for it in self._queues_stand if it]),
            (_OF_QUOTAS, ["account", "action"], [([it.account, it.action], it) for it in quotas]),
        ):
            for name, (kind, told, figure) in figures.items():
                family = kind(name, told, labels=label_names)
                for labels, status in stand:
                    family.add_metric(labels, figure(status))
                yield family

    describe = collect

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._every_seconds)
            await self._look((StopcastError,))

    async def _look(self, endured: tuple[type[StopcastError], ...]) -> None:
        async def ask(status: Awaitable[T]) -> T | None:
            try:
                return await status
            except endured:
                return None

        self._queues_stand, self._quotas_stand = await asyncio.gather(
            asyncio.gather(*(ask(queue.status()) for queue in self._queues)),
            asyncio.gather(*(ask(quota_status(*quota)) for quota in self._quotas)),
        )
