"""``--metrics-port`` and ``--metrics-file``: the run's metrics for Prometheus, to be scraped or as a file."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from stopcast.cli.output import log
from stopcast.errors import ConfigurationError
from stopcast.ports import Observer

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

ObserversOf = Callable[[str], tuple[Observer, ...]]

#: Node exporter is scraped every 15 s or so.
_WRITTEN_EVERY_SECONDS: Final = 5.0


@asynccontextmanager
async def metrics(
    *,
    host: str,
    port: int | None,
    path: str | None,
    quiet: bool,
    by_account: bool = False,
    queues: Collection[str] = (),
    quotas: Collection[tuple[str, str, str]] = (),
) -> AsyncIterator[ObserversOf]:
    """Serve the metrics at a port, and write them to a file, while the block lasts.

    Yields a function that returns what observes for them. With ``by_account`` it takes an account's name, and every
    metric has it as its label ``account``; without, it takes "". ``queues`` and ``quotas``, as ``RedisMetrics`` takes
    them, have their own metrics beside.

    Raises:
        ConfigurationError: prometheus-client is not there, the port is taken, or the file cannot be written.
    """
    if port is None and path is None:
        yield lambda _account: ()
        return
    try:
        from prometheus_client import CollectorRegistry

        from stopcast.prometheus import PrometheusObserver
    except ImportError:
        raise ConfigurationError(
            "--metrics-port and --metrics-file need prometheus-client: pip install 'stopcast[prometheus]'"
        ) from None
    # A registry of its own: node exporter has the process's metrics under the same names.
    registry = CollectorRegistry()
    observer = PrometheusObserver(registry, labels=["account"] if by_account else ())
    async with AsyncExitStack() as stack:
        if port is not None:
            url = await stack.enter_async_context(_served(registry, host, port))
            if not quiet:
                log(f"metrics: {url}", event="metrics_served", url=url)
        if path is not None:
            await stack.enter_async_context(_written(registry, path))
        if queues or quotas:
            from stopcast.redis_metrics import RedisMetrics

            # Inside of the file's block: what stays in it for ever must not tell of a queue that goes on.
            await stack.enter_async_context(RedisMetrics(registry, queues=queues, quotas=quotas))
        yield lambda account: (observer.labelled(account=account) if by_account else observer,)


@asynccontextmanager
async def _served(registry: CollectorRegistry, host: str, port: int) -> AsyncIterator[str]:
    from prometheus_client import start_http_server

    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise ConfigurationError(
            f"--metrics-port {port} at {host}: {error.strerror}. Name another port, or 0 for any that is free"
        ) from None
    shown = f"[{host}]" if ":" in host else host
    try:
        yield f"http://{shown}:{server.server_port}/metrics"
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()


@asynccontextmanager
async def _written(registry: CollectorRegistry, path: str) -> AsyncIterator[None]:
    from prometheus_client import write_to_textfile

    ended = asyncio.Event()
    complained = False

    async def keep_writing() -> None:
        nonlocal complained
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WRITTEN_EVERY_SECONDS):
                    await ended.wait()
            try:
                # In a thread, or a slow disk would hold the calls up; whole or not at all, by a rename.
                await asyncio.to_thread(write_to_textfile, path, registry)
            except OSError as error:
                if not complained:
                    log(f"--metrics-file {path}: {error.strerror}; the run goes on", event="metrics_not_written")
                complained = True

    try:
        write_to_textfile(path, registry)
    except OSError as error:
        raise ConfigurationError(
            f"--metrics-file {path}: {error.strerror}. Name a file in a folder that exists"
        ) from None
    writing = asyncio.create_task(keep_writing())
    try:
        yield
    finally:
        ended.set()
        await writing
