"""Measure what a call costs: CPU time in the client's process, and calls a second without a cap.

stopcast runs as a whole: read the list, check, sign, send, judge the answer, write the report. Its peers are a bare
aiohttp loop that sends one body with the same headers and reads the answer; the same with httpx; the vendor's two SDKs
in threads; and the same four libraries, composed in the simplest way.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from call_clients import a_function, embedded_stopcast, otel, prometheus, single_stopcast, whole_stopcast
from call_peers import bare_aiohttp, bare_httpx, plain_composition, vendor_new, vendor_old
from call_place import Job, Place
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
