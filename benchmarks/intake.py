"""How fast lists are read, checked and told apart, and in how much memory, beside the standard library.

The peer is what one would write by hand: ``csv`` or ``json`` line by line, a regular expression for each id, and a set
of triples. Every measurement is a process of its own, so that its peak memory is its own too; both read the same file,
one after the other in every round, and have to find the same number of tasks.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

ID = re.compile(r"[a-zA-Z0-9_@\-.]{1,128}")
#: Of so many rows one is a double, and one is no task.
ODD_ROWS = 1000


def read_by_stopcast(path: Path) -> int:
    from stopcast.intake import Intake
    from stopcast.sources import open_list

    async def read() -> int:
        intake = Intake()
        async with aclosing(open_list(path)) as batches:
            async for batch in batches:
                intake.take(batch, 0.0)
        return intake.tasks

    return asyncio.run(read())


def read_by_csv(path: Path) -> int:
    seen = set()
    with path.open(newline="", encoding="utf-8") as file:
        for app_id, room_id, task_id in csv.reader(file):
            if ID.fullmatch(app_id) and ID.fullmatch(room_id) and ID.fullmatch(task_id):
                seen.add((app_id, room_id, task_id))
    return len(seen) - 1  # the header


def read_by_json(path: Path) -> int:
    seen = set()
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            app_id, room_id, task_id = row["AppId"], row["RoomId"], row["TaskId"]
            if ID.fullmatch(app_id) and ID.fullmatch(room_id) and ID.fullmatch(task_id):
                seen.add((app_id, room_id, task_id))
    return len(seen)


READERS: dict[str, Callable[[Path], int]] = {"stopcast": read_by_stopcast, "csv": read_by_csv, "json": read_by_json}


def write_lists(folder: Path, rows: int) -> dict[str, Path]:
    paths = {"csv": folder / "tasks.csv", "json": folder / "tasks.jsonl"}
    with paths["csv"].open("w") as as_csv, paths["json"].open("w") as as_json:
        as_csv.write("AppId,RoomId,TaskId\n")
        for number in range(rows):
            named = number - 500 if number % ODD_ROWS == ODD_ROWS - 1 else number
            mark = " " if number % ODD_ROWS == ODD_ROWS // 2 + 1 else "_"
            app_id = f"5f3c1a2b9d8e7f6a5b4c3d{named % 16:02x}"
            room_id, task_id = f"room-20261122-{named // 2:08d}", f"task{mark}9f8e7d6c5b4a_{named:08d}"
            as_csv.write(f"{app_id},{room_id},{task_id}\n")
            as_json.write(f'{{"AppId":"{app_id}","RoomId":"{room_id}","TaskId":"{task_id}"}}\n')
    return paths


def measure(reader: str, path: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", reader, str(path)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def measure_here(reader: str, path: Path) -> None:
    started = time.perf_counter()
    tasks = READERS[reader](path)
    seconds = time.perf_counter() - started
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    print(json.dumps({"tasks": tasks, "seconds": seconds, "peak_bytes": peak}))


def versions() -> str:
    import orjson

    return f"Python {platform.python_version()}, orjson {orjson.__version__}, {platform.system()} {platform.machine()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--no-peer", action="store_true", help="for tens of millions of rows: a peer takes 300 bytes each"
    )
    parser.add_argument("--measure", nargs=2, metavar=("READER", "PATH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure_here(options.measure[0], Path(options.measure[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = write_lists(Path(folder), options.rows)
        results: dict[tuple[str, str], list[dict[str, float]]] = {}
        for _ in range(options.rounds):
            for form, path in paths.items():
                for reader in ("stopcast",) if options.no_peer else ("stopcast", form):
                    results.setdefault((form, reader), []).append(measure(reader, path))
    print(f"{options.rows:,} rows, median of {options.rounds} rounds; {versions()}\n")
    print("| list | read by | rows a second | times the peer's | peak memory, MB | times the peer's |")
    print("|---|---|---|---|---|---|")
    for (form, reader), found in results.items():
        peers = results.get((form, form), [])
        assert len({one["tasks"] for one in found + peers}) == 1, "they do not find the same tasks"
        print(f"| {form} | {reader} | {row(options.rows, found, peers if reader == 'stopcast' else [])} |")


def row(rows: int, found: list[dict[str, float]], peers: list[dict[str, float]]) -> str:
    def median(values: Any) -> float:
        return float(statistics.median(values))

    speed, memory = median(rows / one["seconds"] for one in found), median(one["peak_bytes"] for one in found)
    # Round by round, so that a busy moment of the machine disturbs one ratio and not all of them.
    faster = (
        f"{median(peer['seconds'] / one['seconds'] for one, peer in zip(found, peers, strict=True)):.2f}"
        if peers
        else ""
    )
    smaller = f"{memory / median(peer['peak_bytes'] for peer in peers):.2f}" if peers else ""
    return f"{speed:,.0f} | {faster} | {memory / 1e6:.0f} | {smaller}"


if __name__ == "__main__":
    main()
