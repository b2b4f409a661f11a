"""Measure how fast lists are read, checked and deduplicated, and the memory for it, beside the standard library.

The peer is the program that one would write by hand: ``csv`` or ``json`` line by line, a regular expression for each
id, and a set of triples. Each measurement is a process of its own, so its peak memory is its own. Both read the same
file, alternating in every round, and have to find the same number of tasks.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Final

from measuring import in_own_process, middle, print_table, print_versions, ratio, rounds, spread

ID: Final = re.compile(r"[a-zA-Z0-9_@\-.]{1,128}")
#: One row out of this number is a duplicate, and one names no task.
ODD_ROWS: Final = 1000


def read_by_stopcast(path: Path) -> int:
    """Return the number of tasks that stopcast finds."""
    from stopcast.sources import ListReader, ReadOptions
    from stopcast.tasks.intake import Intake

    async def read() -> int:
        intake = Intake()
        reader = ListReader(str(path), ReadOptions())
        async with reader, aclosing(reader.batches()) as batches:
            async for batch in batches:
                intake.take(batch, 0.0)
        return intake.tasks

    return asyncio.run(read())


def read_by_csv(path: Path) -> int:
    """Return the number of tasks that a hand-written loop finds."""
    seen = set()
    with path.open(newline="", encoding="utf-8") as file:
        for app_id, room_id, task_id in csv.reader(file):
            if ID.fullmatch(app_id) and ID.fullmatch(room_id) and ID.fullmatch(task_id):
                seen.add((app_id, room_id, task_id))
    return len(seen) - 1  # the header


def read_by_json(path: Path) -> int:
    """Return the number of tasks that a hand-written loop finds."""
    seen = set()
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            app_id, room_id, task_id = row["AppId"], row["RoomId"], row["TaskId"]
            if ID.fullmatch(app_id) and ID.fullmatch(room_id) and ID.fullmatch(task_id):
                seen.add((app_id, room_id, task_id))
    return len(seen)


READERS: Final[Mapping[str, tuple[str, Callable[[Path], int]]]] = {
    "CSV, stopcast": ("csv", read_by_stopcast),
    "CSV, csv and a set": ("csv", read_by_csv),
    "JSONL, stopcast": ("jsonl", read_by_stopcast),
    "JSONL, json and a set": ("jsonl", read_by_json),
}
#: The peer of each reader.
PEERS: Final = {"CSV, stopcast": "CSV, csv and a set", "JSONL, stopcast": "JSONL, json and a set"}


def write_lists(folder: Path, rows: int) -> None:
    """Write the same rows as CSV and as JSONL."""
    with Path(folder, "tasks.csv").open("w") as as_csv, Path(folder, "tasks.jsonl").open("w") as as_json:
        as_csv.write("AppId,RoomId,TaskId\n")
        for number in range(rows):
            named = number - 500 if number % ODD_ROWS == ODD_ROWS - 1 else number
            mark = " " if number % ODD_ROWS == ODD_ROWS // 2 + 1 else "_"
            app_id = f"5f3c1a2b9d8e7f6a5b4c3d{named % 16:02x}"
            room_id, task_id = f"room-20261122-{named // 2:08d}", f"task{mark}9f8e7d6c5b4a_{named:08d}"
            as_csv.write(f"{app_id},{room_id},{task_id}\n")
            as_json.write(f'{{"AppId":"{app_id}","RoomId":"{room_id}","TaskId":"{task_id}"}}\n')


def measure(name: str, folder: Path) -> dict[str, float]:
    """Read a whole list in this process, and return what it took."""
    form, read = READERS[name]
    began = time.perf_counter()
    tasks = read(folder / f"tasks.{form}")
    seconds = time.perf_counter() - began
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"tasks": tasks, "seconds": seconds, "megabytes": peak / 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows in each list (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all readers, interleaved (%(default)s)")
    parser.add_argument(
        "--no-peer",
        action="store_true",
        help="skip the peers: for tens of millions of rows, of which a peer takes 300 bytes each",
    )
    arguments = parser.parse_args()
    names = [name for name in READERS if name in PEERS or not arguments.no_peer]
    print_versions("stopcast", "orjson")
    with tempfile.TemporaryDirectory() as folder:
        write_lists(Path(folder), arguments.rows)
        results = rounds(arguments.rounds, lambda name: in_own_process(measure, name, Path(folder)), names)
    if len({figure["tasks"] for figures in results.values() for figure in figures}) != 1:
        raise SystemExit("the readers do not find the same tasks")

    def beside(name: str, key: str) -> str:
        if (peers := results.get(PEERS.get(name, ""))) is None:
            return ""
        # Half the time is twice the speed.
        pair = (peers, results[name]) if key == "seconds" else (results[name], peers)
        return f"{ratio(*pair, key):.2f}"

    print_table(
        f"{arguments.rows:,} rows: median of {arguments.rounds} rounds",
        ("list, read by", "rows a second", "s", "times the peer's", "most memory, MB", "of the peer's"),
        [
            (
                name,
                f"{arguments.rows / middle(figures, 'seconds'):,.0f}",
                spread(figures, "seconds", "{:.2f}"),
                beside(name, "seconds"),
                f"{middle(figures, 'megabytes'):.0f}",
                beside(name, "megabytes"),
            )
            for name, figures in results.items()
        ],
    )


if __name__ == "__main__":
    main()
