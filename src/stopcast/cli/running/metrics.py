"""``--metrics-port`` and ``--metrics-file``: serving a run's metrics for Prometheus, and writing them to a file."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stopcast.background import END_WITHIN_SECONDS, Supervisor
from stopcast.cli.files import check_may_be_written, unusable
from stopcast.cli.options import MetricsOptions
from stopcast.cli.output import log
from stopcast.cli.user import User
from stopcast.errors import ConfigurationError
from stopcast.threads import in_thread

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from stopcast.cli.running.targets import ObserversOf

#: Node exporter is scraped about every 15 s.
_WRITE_EVERY_SECONDS: Final = 5.0
#: How the file begins: with the help of the first metric.
_FILE_BEGINS: Final = b"# HELP stopcast_"
#: Where one of these is set, prometheus-client keeps metrics in files that processes share. A run is one process.
_SHARED_BY_PROCESSES: Final = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")


def check_metrics(options: MetricsOptions) -> str:
    """Check that the metrics can be served and written, and return the name of their file without symbolic links.

    Whether the port is free is found out when it is opened.

    Raises:
        ConfigurationError: prometheus-client is not installed, or the file cannot be written.
    """
    if options.port is None and options.file is None:
        return ""
    if find_spec("prometheus_client") is None:
        raise ConfigurationError(
            "--metrics-port and --metrics-file need prometheus-client: pip install 'stopcast[prometheus]'"
        )
    if options.file is None:
        return ""
    target = check_may_be_written("--metrics-file", options.file, begins=_FILE_BEGINS)
    if not os.access(Path(target).parent, os.F_OK):
        raise unusable("--metrics-file", options.file, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
    return target


@asynccontextmanager
async def metrics(
    options: MetricsOptions,
    user: User,
    supervisor: Supervisor,
    *,
    by_account: bool = False,
    queues: Collection[str] = (),
    quotas: Collection[tuple[str, str, str]] = (),
    rows_expected: Callable[[], float] | None = None,
) -> AsyncIterator[ObserversOf]:
    """Serve the metrics at a port, and write them to a file, while the block lasts.

    Yields a function that returns an account's observers. With ``by_account`` it takes the account's name, and every
    metric has that as its label ``account``; without, it takes "". ``queues`` and ``quotas`` are those of
    ``RedisMetrics``, which adds their metrics. ``rows_expected`` returns how many rows the run has, where it has lists.

    Raises:
        ConfigurationError: prometheus-client is not installed, the port is taken, or the file cannot be written.
    """
    if options.port is None and options.file is None:
        yield lambda _account: ()
        return
    for variable in _SHARED_BY_PROCESSES:
        os.environ.pop(variable, None)
    target = await in_thread(partial(check_metrics, options), name="metrics file")
    from prometheus_client import CollectorRegistry, Gauge

    from stopcast.prometheus import PrometheusObserver

    # Not the default registry: its metrics of the process have the same names as node exporter's.
    registry = CollectorRegistry()
    observer = PrometheusObserver(registry, labels=["account"] if by_account else ())
    if rows_expected is not None:
        expected = Gauge("stopcast_rows_expected", "Rows that the lists of the run hold.", registry=registry)
        expected.set_function(rows_expected)
    async with AsyncExitStack() as stack:
        if options.port is not None:
            url = await stack.enter_async_context(_served(registry, options.host, options.port))
            user.log(f"metrics: {url}", event="metrics_served", url=url)
        if options.file is not None:
            await stack.enter_async_context(_written(registry, options.file, target, supervisor))
        if queues or quotas:
            from stopcast.redis_metrics import RedisMetrics

            # Inside the file's block: the last version of the file must not describe a queue that goes on changing.
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
async def _written(registry: CollectorRegistry, path: str, target: str, supervisor: Supervisor) -> AsyncIterator[None]:
    from prometheus_client import write_to_textfile

    # In a thread, because the disk may be slow, or hang. The file is replaced as a whole, by a rename: a link to it
    # stays one.
    write = partial(in_thread, partial(write_to_textfile, target, registry), name="metrics file")
    ended = asyncio.Event()
    complained = False

    async def keep_writing() -> None:
        nonlocal complained
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WRITE_EVERY_SECONDS):
                    await ended.wait()
            try:
                await write()
            except OSError as error:
                if not complained:
                    log(f"--metrics-file {path}: {error.strerror}; the run goes on", event="metrics_not_written")
                complained = True

    try:
        await write()
    except OSError as error:
        raise unusable("--metrics-file", path, error) from None
    writer = supervisor.start(keep_writing(), name=f"writer of --metrics-file {path}", may_return=True)
    try:
        yield
    finally:
        # Not cancelled at once: it writes the file a last time.
        ended.set()
        await asyncio.wait([writer], timeout=END_WITHIN_SECONDS)
        await supervisor.end(writer)
