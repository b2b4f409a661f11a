"""The figures of queues and shared quotas as metrics for Prometheus (extras ``prometheus`` and ``redis``).

    from stopcast.redis_metrics import RedisMetrics

    async with RedisMetrics(queues=["redis://host:6379/0/recordings"], quotas=[("redis://host:6379/0", "main")]):
        ...

They are the figures of ``stopcast status``, and describe the whole fleet: each process that exports them has the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final, Self, TypeVar

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from stopcast.background import Block, Supervisor
from stopcast.errors import BackgroundTaskError, QueueError, QuotaLostError, StopcastError
from stopcast.fleet.queue import QueueStatus, RedisQueue
from stopcast.fleet.quota.quota_status import QuotaStatus, quota_status

_LOG: Final = logging.getLogger("stopcast")
T = TypeVar("T")
Kind = type[GaugeMetricFamily] | type[CounterMetricFamily]
Figures = dict[str, tuple[Kind, str, Callable[[Any], float]]]

#: A process joins its queue just after its metrics begin, so the first figures are renewed sooner, by this part.
_SOONER_AT_FIRST: Final = 1 / 16
#: The text of each metric, and its figure in a QueueStatus. The end of its name is its unit.
_OF_QUEUES: Final[Figures] = {
    "stopcast_queue_length": (GaugeMetricFamily, "Tasks in the queue.", lambda status: status.length),
    "stopcast_queue_pending": (GaugeMetricFamily, "Tasks that workers have.", lambda status: status.pending),
    "stopcast_queue_oldest_seconds": (
        GaugeMetricFamily,
        "How long the oldest task has been in the queue; 0 if it is empty.",
        lambda status: status.oldest_seconds or 0.0,
    ),
    "stopcast_queue_workers": (
        GaugeMetricFamily,
        "Workers, until their tasks are taken over.",
        lambda status: len(status.workers),
    ),
    "stopcast_queue_dead_letters": (GaugeMetricFamily, "Tasks delivered too often.", lambda status: status.dead),
    "stopcast_queue_results": (GaugeMetricFamily, "Outcomes in the results stream.", lambda status: status.results),
}
#: The same of a QuotaStatus.
_OF_QUOTAS: Final[Figures] = {
    "stopcast_quota_rate_limit_calls_per_second": (
        GaugeMetricFamily,
        "Calls a second that the account may make now.",
        lambda status: status.rate,
    ),
    "stopcast_quota_held_seconds": (
        GaugeMetricFamily,
        "For how long no call may be made yet.",
        lambda status: status.held_seconds,
    ),
    "stopcast_quota_worst_second_permits": (
        GaugeMetricFamily,
        "The most permits in any second of Redis' clock.",
        lambda status: status.worst_second,
    ),
    "stopcast_quota_permits": (CounterMetricFamily, "Permits given out.", lambda status: status.permits),
    "stopcast_quota_throttled": (CounterMetricFamily, "Throttled answers.", lambda status: status.throttled),
}


class RedisMetrics(Collector):
    """Keeps the metrics of queues and quotas up to date while it is entered. An async context manager.

    While Redis does not answer, its figures are left out of a scrape, so that no old figure passes for a new one. A
    figure is never older than ``every_seconds`` and the time-out of 5 s for each answer.

    Args:
        registry: where the metrics are registered, Prometheus' own by default.
        queues: URLs, as for ``RedisQueue``. Their names are the label ``queue``, so no two may have the same.
        quotas: of each, the URL and the account, as for ``SharedQuota``, and the action unless it is ``StopWebcast``.
            Account and action are labels.
        every_seconds: how often Redis is asked.

    Raises:
        ConfigurationError: a URL that cannot be used, redis-py is not installed, or Redis refuses the login.
        ValueError: on entering, the registry has metrics of these names already.
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
        self._queue_statuses: Sequence[QueueStatus | None] = ()
        self._quota_statuses: Sequence[QuotaStatus | None] = ()
        self._block = Block(type(self).__name__)
        self._stack = AsyncExitStack()
        self._background = Supervisor(self._fail)

    async def __aenter__(self) -> Self:
        with self._block.entering():
            await self._enter()
        self._background.start(self._keep_renewing(), name="metrics of Redis")
        return self

    async def _enter(self) -> None:
        async with AsyncExitStack() as stack:
            for queue in self._queues:
                await stack.enter_async_context(queue)
            await self._renew((QueueError, QuotaLostError))
            self._registry.register(self)
            stack.callback(self._registry.unregister, self)
            self._stack = stack.pop_all()

    async def __aexit__(self, *_error: object) -> None:
        with self._block.leaving():
            try:
                await self._background.end()
            finally:
                await self._stack.aclose()

    def collect(self) -> Iterator[Metric]:
        """Return the metrics, for the registry."""
        queues = [status for status in self._queue_statuses if status]
        # An account that made no call within a day has no rate, which is not 0.
        quotas = [status for status in self._quota_statuses if status and status.rate is not None]
        for figures, label_names, statuses in (
            (_OF_QUEUES, ["queue"], [([status.name], status) for status in queues]),
            (_OF_QUOTAS, ["account", "action"], [([status.account, status.action], status) for status in quotas]),
        ):
            for name, (kind, text, figure) in figures.items():
                family = kind(name, text, labels=label_names)
                for labels, status in statuses:
                    family.add_metric(labels, figure(status))
                yield family

    describe = collect

    def _fail(self, error: BackgroundTaskError) -> None:
        self._queue_statuses = self._quota_statuses = ()
        # Metrics do not end the work that they describe.
        _LOG.error("%s: %s", error, error.__cause__, extra={"event": "redis_metrics_failed"})

    async def _keep_renewing(self) -> None:
        wait_seconds = self._every_seconds * _SOONER_AT_FIRST
        while True:
            await asyncio.sleep(wait_seconds)
            await self._renew((StopcastError,))
            wait_seconds = min(2 * wait_seconds, self._every_seconds)

    async def _renew(self, endured: tuple[type[StopcastError], ...]) -> None:
        # Not an awaitable: a task that is cancelled before it begins would leave it behind, never awaited.
        async def ask(status: Callable[[], Awaitable[T]]) -> T | None:
            try:
                return await status()
            except endured:
                return None

        self._queue_statuses, self._quota_statuses = await asyncio.gather(
            asyncio.gather(*(ask(queue.status) for queue in self._queues)),
            asyncio.gather(*(ask(partial(quota_status, *quota)) for quota in self._quotas)),
        )
