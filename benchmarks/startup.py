"""Measure how long the command takes to answer, beside an interpreter that does nothing."""

from __future__ import annotations

import argparse
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Final

from measuring import middle, print_table, print_versions, ratio, rounds, spread, write_tasks

ROWS: Final = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="rounds of all commands, interleaved (%(default)s)")
    arguments = parser.parse_args()
    command = str(Path(sysconfig.get_path("scripts"), "stopcast"))
    print_versions("stopcast", "click", "aiohttp")
    with tempfile.TemporaryDirectory() as folder:
        tasks = Path(folder, "tasks.csv")
        write_tasks(tasks, ROWS)
        nothing = "python -c pass"
        commands = {
            nothing: [sys.executable, "-c", "pass"],
            "stopcast --help": [command, "--help"],
            f"stopcast run --dry-run, {ROWS} rows": [command, "run", "--dry-run", str(tasks)],
            "python -c 'import click'": [sys.executable, "-c", "import click"],
            "python -c 'import aiohttp'": [sys.executable, "-c", "import aiohttp"],
        }

        def measure(name: str) -> dict[str, float]:
            began = time.perf_counter()
            subprocess.run(commands[name], check=True, stdout=subprocess.DEVNULL, cwd=folder)
            return {"ms": (time.perf_counter() - began) * 1000}

        rounds(1, measure, list(commands))  # so that all modules are compiled and in the page cache
        results = rounds(arguments.rounds, measure, list(commands))
    print_table(
        f"Time to answer: median of {arguments.rounds} rounds",
        ("command", "ms", "least to most", "/ python -c pass"),
        [
            (
                name,
                f"{middle(figures, 'ms'):.0f}",
                spread(figures, "ms"),
                f"{ratio(figures, results[nothing], 'ms'):.1f}",
            )
            for name, figures in results.items()
        ],
    )


if __name__ == "__main__":
    main()
