"""Shared by the benchmarks: a process for each measurement, medians over interleaved rounds, and tables."""

from __future__ import annotations

import multiprocessing
import os
import platform
import resource
import sys
import time
import traceback
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import distributions, version
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any, Final, TypeVar

from stopcast.ports import Limiter

T = TypeVar("T")

_SPAWN: Final = multiprocessing.get_context("spawn")


def cpu_seconds() -> float:
    """Return the CPU time of this process: all threads, in user and system mode."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def own_process(
    function: Callable[..., object], *args: object
) -> tuple[multiprocessing.process.BaseProcess, Connection]:
    """Start ``function`` in a fresh interpreter, and return its process and our end of a pipe.

    Its first argument is the other end of the pipe.
    """
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=function, args=(theirs, *args), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def in_own_process(function: Callable[..., T], *args: object) -> T:
    """Run ``function`` in a fresh interpreter and return its result, so that no measurement inherits memory."""
    process, ours = own_process(_call, function, args)
    result: T = received(ours)
    process.join()
    return result


def received(ours: Connection) -> Any:
    """Return what came through the pipe, or raise the error of its other end."""
    result = ours.recv()
    if isinstance(result, Exception):
        raise result
    return result


def _call(theirs: Connection, function: Callable[..., object], args: Sequence[object]) -> None:
    try:
        theirs.send(function(*args))
    except Exception as error:  # noqa: BLE001 - raised again at the other end
        traceback.print_exc()
        theirs.send(RuntimeError(f"{type(error).__name__}: {error}"))


def rounds(
    number: int, measure: Callable[[str], Mapping[str, float]], names: Sequence[str]
) -> dict[str, list[Mapping[str, float]]]:
    """Measure everything once in each round, so that other load on the machine affects all of it."""
    results: dict[str, list[Mapping[str, float]]] = {name: [] for name in names}
    for _ in range(number):
        for name in names:
            results[name].append(measure(name))
    return results


def middle(figures: Sequence[Mapping[str, float]], key: str) -> float:
    """Return the median of one figure over the rounds."""
    return median(figure[key] for figure in figures)


def ratio(figures: Sequence[Mapping[str, float]], base: Sequence[Mapping[str, float]], key: str) -> float:
    """Return the median of the ratios between measurements of the same round."""
    return median(mine[key] / theirs[key] for mine, theirs in zip(figures, base, strict=True))


def spread(figures: Sequence[Mapping[str, float]], key: str, form: str = "{:.0f}") -> str:
    """Return the smallest and the largest value of one figure: the noise."""
    values = [figure[key] for figure in figures]
    return f"{form.format(min(values))} to {form.format(max(values))}"


def write_tasks(path: Path, number: int) -> None:
    """Write a CSV list of ``number`` tasks, with ids like those of the API."""
    with path.open("w", encoding="ascii") as file:
        file.write("AppId,RoomId,TaskId\n")
        for place in range(number):
            file.write(f"64a1b2c3d4e5f60123456789,room-{place % 997:04d},webcast-{place:010d}\n")


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table for a terminal that is also Markdown."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join([first, *others])} |"

    print(f"\n{title}\n")
    print(line(header))
    print("|" + "|".join("-" * (width + 1) + ("-" if place == 0 else ":") for place, width in enumerate(widths)) + "|")
    for row in rows:
        print(line(row))
    # A pipe or a file would get it only at the end, which is minutes away.
    sys.stdout.flush()


def print_versions(*packages: str) -> None:
    """Print the machine and the versions of these packages."""
    load = "/".join(f"{value:.1f}" for value in os.getloadavg())
    print(
        f"{platform.python_implementation()} {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores, load {load}"
    )
    installed = {distribution.name for distribution in distributions()}
    print(", ".join(f"{package} {version(package)}" for package in packages if package in installed), flush=True)


class NotedLimiter(Limiter):
    """A limiter that records its permits.

    Attributes:
        times: the times of the permits, on the monotonic clock.
    """

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self.times: list[float] = []

    async def acquire(self) -> None:
        """Wait for a permit, and record its time."""
        await self._limiter.acquire()
        self.times.append(time.monotonic())

    def hold(self, seconds: float = 0.0) -> None:
        """Pass the throttling on to the limiter."""
        self._limiter.hold(seconds)


def worst_second(times: Sequence[float]) -> int:
    """Return the largest number of these sorted times in any second, its end excluded."""
    return max((last + 1 - bisect_right(times, moment - 1) for last, moment in enumerate(times)), default=0)
