"""Measure what a call costs: CPU time in the client's process, and calls a second without a cap.

stopcast runs as a whole: read the list, check, sign, send, judge the answer, write the report. Its peers are a bare
aiohttp loop that sends one body with the same headers and reads the answer; the same with httpx; the vendor's two SDKs
in threads; and the same four libraries, composed in the simplest way.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from measuring import (
    cpu_seconds,
    in_own_process,
    middle,
    print_table,
    print_versions,
    ratio,
    rounds,
    spread,
    write_tasks,
)
from server import running_server
from stopcast.api.actions import request_body
from stopcast.api.endpoint import Endpoint
from stopcast.api.signing import Signer
from stopcast.credentials.value import Credentials
from stopcast.ports import Observer, Request
from stopcast.tasks.task import Task

CREDENTIALS: Final = Credentials("AKLTbench0123456789abcdef01234567", "c2VjcmV0LWZvci1hLWJlbmNobWFyaw==")
TASK: Final = Task("64a1b2c3d4e5f60123456789", "room-0001", "webcast-0000000001")

if TYPE_CHECKING:
    from stopcast import Stopper

Job = Callable[[], Coroutine[Any, Any, None]]
#: What a service does with a Stopper and its tasks. It returns the number of good outcomes.
Use = Callable[["Stopper", Iterator[Task]], Awaitable[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The setting of one measurement.

    Attributes:
        url: the server.
        tasks: a list with one task for each call.
        report: the path of the report, which does not exist yet.
        calls: the number of calls.
        at_once: the number of workers.
        threads: the number of threads, for clients that cannot do without them.
        per_second: the pace, for clients that can keep one; None for no limit.
    """

    url: str
    tasks: Path
    report: Path
    calls: int
    at_once: int
    threads: int
    per_second: float | None = None

    @property
    def endpoint(self) -> Endpoint:
        """The server, as stopcast's type."""
        return Endpoint.parse(self.url)

    def request(self) -> tuple[str, bytes, dict[str, str]]:
        """Return the address, body and headers of one signed call, for clients that repeat it."""
        endpoint, body = self.endpoint, request_body(TASK)
        signer = Signer(CREDENTIALS, host=endpoint.host, region=endpoint.region, query=endpoint.query)
        return (
            endpoint.url,
            body,
            {**signer.sign(Request(body, endpoint.query), time.time()), "Accept-Encoding": "identity"},
        )


async def in_workers(place: Place, call: Callable[[], Awaitable[object]]) -> None:
    """Make the calls, ``at_once`` of them in parallel."""
    numbers = iter(range(place.calls))

    async def work() -> None:
        for _ in numbers:
            await call()

    await asyncio.gather(*(work() for _ in range(place.at_once)))


def bare_aiohttp(place: Place) -> Job:
    import aiohttp
    from aiolimiter import AsyncLimiter

    url, body, headers = place.request()

    async def run() -> None:
        async with aiohttp.ClientSession() as session:

            async def call() -> None:
                async with session.post(url, data=body, headers=headers) as response:
                    await response.read()

            if place.per_second is None:
                await in_workers(place, call)
                return
            # The same bucket as stopcast's, without its other parts.
            limiter = AsyncLimiter(1.5, 1.5 / (0.993 * place.per_second))

            async def call_in_pace() -> None:
                async with limiter:
                    await call()

            await in_workers(place, call_in_pace)

    return run


def bare_httpx(place: Place) -> Job:
    import httpx

    url, body, headers = place.request()

    async def run() -> None:
        # As its users make it: a limit of their own on the connections made it three times slower.
        async with httpx.AsyncClient() as client:
            await in_workers(place, partial(client.post, url, content=body, headers=headers))

    return run


def whole_stopcast(place: Place, *, capped: bool = False) -> Job:
    from stopcast.limiters import TokenBucket, Unlimited
    from stopcast.run import Run
    from stopcast.sources import ListReader, ReadOptions
    from stopcast.stopper import Stopper

    async def run() -> None:
        per_second = 1e6 if capped else place.per_second
        limiter = Unlimited() if per_second is None else TokenBucket(per_second)
        async with Stopper(CREDENTIALS, endpoint=place.endpoint, limiter=limiter, max_at_once=place.at_once) as stopper:
            stopping = Run(stopper, place.report)
            reader = ListReader(str(place.tasks), ReadOptions())
            async with reader, aclosing(reader.batches()) as batches:
                await stopping.stop_lists(batches)
        _check(place, stopping.finished)

    return run


def no_observers() -> Sequence[Observer]:
    return ()


def a_function() -> Sequence[Observer]:
    """Do nothing: the cost is that of the events themselves."""
    return [lambda _: None]


def prometheus() -> Sequence[Observer]:
    from stopcast.prometheus import PrometheusObserver

    return [PrometheusObserver()]


def otel(sampled: float) -> Sequence[Observer]:
    """Return an observer with OpenTelemetry's SDK, which samples this share of the traces and exports none."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

    from stopcast.otel import OpenTelemetryObserver

    class Nowhere(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002 - the SDK's signature
            return SpanExportResult.SUCCESS

    traces = TracerProvider(sampler=TraceIdRatioBased(sampled))
    traces.add_span_processor(BatchSpanProcessor(Nowhere(), max_queue_size=100_000))
    return [OpenTelemetryObserver(tracer_provider=traces, meter_provider=MeterProvider([InMemoryMetricReader()]))]


def in_a_service(place: Place, observers: Callable[[], Sequence[Observer]], use: Use) -> Job:
    # Here, because it is the import that loads the HTTP client, and the observers import their libraries.
    from stopcast import Stopper, Unlimited

    made = observers()

    async def run() -> None:
        tasks = (TASK._replace(task_id=f"webcast-{number:010d}") for number in range(place.calls))
        async with Stopper(
            CREDENTIALS,
            endpoint=place.endpoint,
            limiter=Unlimited(),
            max_at_once=place.at_once,
            observers=made,
        ) as stopper:
            good = await use(stopper, tasks)
        _check(place, good)

    return run


def embedded_stopcast(place: Place, *, observers: Callable[[], Sequence[Observer]] = no_observers) -> Job:
    async def stream(stopper: Stopper, tasks: Iterator[Task]) -> int:
        good = 0
        async for outcome in stopper.stop_all(tasks):
            good += outcome.good
        return good

    return in_a_service(place, observers, stream)


def single_stopcast(place: Place, *, observers: Callable[[], Sequence[Observer]] = no_observers) -> Job:
    """Await ``stop()`` for each task, as a service does for each of its requests."""

    async def one_by_one(stopper: Stopper, tasks: Iterator[Task]) -> int:
        good = 0

        async def call() -> None:
            nonlocal good
            outcome = await stopper.stop(next(tasks))
            good += outcome.good

        await in_workers(place, call)
        return good

    return in_a_service(place, observers, one_by_one)


def plain_composition(place: Place) -> Job:
    import aiohttp
    import orjson
    from aiolimiter import AsyncLimiter
    from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential
    from volcengine.auth.SignerV4 import SignerV4
    from volcengine.base.Request import Request
    from volcengine.Credentials import Credentials as VendorCredentials

    vendor_credentials = VendorCredentials(CREDENTIALS.access_key, CREDENTIALS.secret_key, "rtc", "cn-north-1")
    limiter = AsyncLimiter(1e9, 1)
    query = {"Action": "StopWebcast", "Version": "2020-12-01"}

    class ThrottledError(Exception):
        pass

    def signed(body: bytes) -> dict[str, str]:
        request = Request()
        request.set_method("POST")
        request.set_path("/")
        request.set_query(query)
        request.set_headers({"Host": place.endpoint.host, "Content-Type": "application/json"})
        request.set_body(body)
        SignerV4.sign(request, vendor_credentials)
        headers: dict[str, str] = request.headers
        return headers

    @retry(
        retry=retry_if_exception_type((aiohttp.ClientError, TimeoutError, ThrottledError)),
        stop=stop_after_attempt(5),
        wait=wait_random_exponential(max=30),
        reraise=True,
    )
    async def stop(session: aiohttp.ClientSession, row: dict[str, str]) -> dict[str, Any]:
        body = orjson.dumps(row)
        async with limiter, session.post(place.endpoint.url, data=body, headers=signed(body)) as response:
            answer: dict[str, Any] = orjson.loads(await response.read())
            if response.status == 429:
                raise ThrottledError
            return answer

    async def run() -> None:
        good = 0
        with place.tasks.open(newline="") as tasks, place.report.open("wb") as report:
            rows = csv.DictReader(tasks)
            async with aiohttp.ClientSession() as session:

                async def work() -> None:
                    nonlocal good
                    for row in rows:
                        answer = await stop(session, row)
                        status = "stopped" if answer.get("Result") == "ok" else "failed"
                        good += status == "stopped"
                        report.write(orjson.dumps({**row, "status": status, "answer": answer}) + b"\n")
                        report.flush()

                await asyncio.gather(*(work() for _ in range(place.at_once)))
        _check(place, good)

    return run


def in_threads(place: Place, make_call: Callable[[], Callable[[], object]]) -> Job:
    """Make the calls in threads; ``make_call`` is called once in each thread."""

    def work(calls: int) -> None:
        call = make_call()
        for _ in range(calls):
            call()

    async def run() -> None:
        share = -(-place.calls // place.threads)
        with ThreadPoolExecutor(place.threads) as pool:
            list(pool.map(work, [min(share, place.calls - start) for start in range(0, place.calls, share)]))

    return run


def vendor_old(place: Place) -> Job:
    from volcengine.ApiInfo import ApiInfo
    from volcengine.base.Service import Service
    from volcengine.Credentials import Credentials as VendorCredentials
    from volcengine.ServiceInfo import ServiceInfo

    def make_call() -> Callable[[], object]:
        credentials = VendorCredentials(CREDENTIALS.access_key, CREDENTIALS.secret_key, "rtc", "cn-north-1")
        info = ServiceInfo(place.endpoint.host, {"Accept": "application/json"}, credentials, 5, 5)
        query = {"Action": "StopWebcast", "Version": "2020-12-01"}
        # One service for each thread: its session is not safe to share.
        service = Service(info, {"StopWebcast": ApiInfo("POST", "/", query, {}, {})})
        service.set_ak(CREDENTIALS.access_key)
        service.set_sk(CREDENTIALS.secret_key)
        return lambda: service.json("StopWebcast", {}, json.dumps(_parameters()))

    return in_threads(place, make_call)


def vendor_new(place: Place) -> Job:
    import volcenginesdkcore

    configuration = volcenginesdkcore.Configuration()
    configuration.ak, configuration.sk = CREDENTIALS.access_key, CREDENTIALS.secret_key
    configuration.region, configuration.host, configuration.scheme = "cn-north-1", place.endpoint.host, "http"
    # Its default pool, five for each core, is too small for the threads, and it logs warnings about that.
    configuration.connection_pool_maxsize = place.at_once
    api = volcenginesdkcore.UniversalApi(volcenginesdkcore.ApiClient(configuration))
    info = volcenginesdkcore.UniversalInfo(
        method="POST", service="rtc", version="2020-12-01", action="StopWebcast", content_type="application/json"
    )
    return in_threads(place, lambda: lambda: api.do_call(info, _parameters()))


def _parameters() -> dict[str, str]:
    return dict(zip(("AppId", "RoomId", "TaskId"), TASK, strict=True))


def _check(place: Place, good: int) -> None:
    if good != place.calls:
        raise RuntimeError(f"{good} of {place.calls} calls went well")


BARE: Final = "bare aiohttp loop"
WHOLE: Final = "stopcast, list to report"
UVLOOP: Final = ", uvloop"
SERVICE: Final = "stopcast, in a service"
SINGLE: Final = "stopcast, stop() one by one"
UNOBSERVED: Final = f"{SERVICE}, no observer"
COMPOSED: Final = "the libraries, composed plainly"
HTTPX: Final = "httpx loop"
VENDOR_OLD: Final = "volcengine, threads"
VENDOR_NEW: Final = "volcenginesdk-core, threads"
CLIENTS: Final[dict[str, Callable[[Place], Job]]] = {
    BARE: bare_aiohttp,
    WHOLE: whole_stopcast,
    f"{WHOLE}{UVLOOP}": whole_stopcast,
    "stopcast, list to report, its cap at 1e6/s": partial(whole_stopcast, capped=True),
    UNOBSERVED: embedded_stopcast,
    f"{UNOBSERVED}{UVLOOP}": embedded_stopcast,
    SINGLE: single_stopcast,
    f"{SINGLE}{UVLOOP}": single_stopcast,
    f"{SINGLE}, prometheus": partial(single_stopcast, observers=prometheus),
    f"{SINGLE}, otel, 1 % sampled": partial(single_stopcast, observers=partial(otel, 0.01)),
    f"{SERVICE}, a function": partial(embedded_stopcast, observers=a_function),
    f"{SERVICE}, prometheus": partial(embedded_stopcast, observers=prometheus),
    f"{SERVICE}, otel": partial(embedded_stopcast, observers=partial(otel, 1.0)),
    f"{SERVICE}, otel, 1 % sampled": partial(embedded_stopcast, observers=partial(otel, 0.01)),
    f"{BARE}{UVLOOP}": bare_aiohttp,
    COMPOSED: plain_composition,
    HTTPX: bare_httpx,
    VENDOR_NEW: vendor_new,
    VENDOR_OLD: vendor_old,
}


def measure(name: str, place: Place) -> dict[str, float]:
    """Make the calls with one client, and return what one call cost."""
    loop_factory = None
    if name.endswith(UVLOOP):
        import uvloop

        loop_factory = uvloop.new_event_loop
    job = CLIENTS[name](place)
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        began, cpu_began = time.perf_counter(), cpu_seconds()
        runner.run(job())
        cpu, seconds = cpu_seconds() - cpu_began, time.perf_counter() - began
    return {"cpu_us": cpu / place.calls * 1e6, "rate": place.calls / seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000, help="calls in each measurement (%(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of all clients, interleaved (%(default)s)")
    parser.add_argument("--at-once", type=int, default=64, help="calls in flight (%(default)s)")
    parser.add_argument("--threads", type=int, default=32, help="threads for the vendor's SDKs (%(default)s)")
    parser.add_argument(
        "--per-second", type=float, help="measure at this pace, with and without uvloop; use --calls 1500 with 150"
    )
    parser.add_argument(
        "--only", metavar="TEXT", default="", help="only clients whose names contain this, and the bare loop"
    )
    arguments = parser.parse_args()
    names = [name for name in CLIENTS if name == BARE or arguments.only in name]
    if arguments.per_second is not None:
        names = [name for name in names if name.removesuffix(UVLOOP) in (BARE, WHOLE)]
    print_versions(
        "stopcast", "aiohttp", "uvloop", "aiolimiter", "tenacity", "orjson", "httpx", "volcengine", "volcenginesdk-core"
    )
    with running_server() as server, tempfile.TemporaryDirectory() as folder:
        place = Place(
            url=server.url,
            tasks=Path(folder, "tasks.csv"),
            report=Path(folder, "report.jsonl"),
            calls=arguments.calls,
            at_once=arguments.at_once,
            threads=arguments.threads,
            per_second=arguments.per_second,
        )
        write_tasks(place.tasks, arguments.calls)

        def one(name: str) -> dict[str, float]:
            place.report.unlink(missing_ok=True)
            # With 64 calls at once, httpx takes milliseconds for a call.
            return in_own_process(measure, name, replace(place, calls=place.calls // 10) if name == HTTPX else place)

        results = rounds(arguments.rounds, one, names)
    bare, ours = results[BARE], results.get(WHOLE, results[BARE])
    print_table(
        f"CPU time a call: median of {arguments.rounds} rounds of {arguments.calls:,} calls, {place.at_once} at once"
        + ("" if arguments.per_second is None else f", {arguments.per_second:g} a second"),
        ("client", "us a call", "least to most", "/ bare loop", "stopcast / this", "calls a second"),
        [
            (
                name,
                f"{middle(figures, 'cpu_us'):.0f}",
                spread(figures, "cpu_us"),
                f"{ratio(figures, bare, 'cpu_us'):.2f}",
                f"{ratio(ours, figures, 'cpu_us'):.2f}",
                f"{middle(figures, 'rate'):,.0f}",
            )
            for name, figures in results.items()
        ],
    )
    observed = {name: figures for name, figures in results.items() if name.startswith(SERVICE)}
    if UNOBSERVED in observed:
        print_table(
            "What observers cost, in the same rounds",
            ("observer", "/ no observer", "us added to a call"),
            [
                (
                    name.removeprefix(f"{SERVICE}, "),
                    f"{ratio(figures, observed[UNOBSERVED], 'cpu_us'):.2f}",
                    f"{middle(figures, 'cpu_us') - middle(observed[UNOBSERVED], 'cpu_us'):.0f}",
                )
                for name, figures in observed.items()
            ],
        )


if __name__ == "__main__":
    main()
