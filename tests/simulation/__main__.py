"""The command: replay one seed, or look for seeds that fail."""

from __future__ import annotations

import argparse
import os
import sys
import time
from itertools import count, islice

from simulation.runner import Result, as_text, run, run_many, show, shrink
from simulation.world import KINDS, PROGRAMS, draw


def main() -> int:
    """Return 1 if a seed failed."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", help="replay this seed, and print what happened")
    parser.add_argument("--seeds", type=int, default=0, help="run this number of seeds")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument(
        "--only", nargs="+", default=[], help="with --seeds: of this program, and with all of these kinds of fault"
    )
    parser.add_argument("--shrink", action="store_true", help="with SEED: look for the smallest world that still fails")
    parser.add_argument("--no-shrink", action="store_true", help="with --seeds: report the worlds as they are")
    parser.add_argument("--stop-at-first", action="store_true", help="with --seeds: end when a seed has failed")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    if given.seed is not None:
        result = run(draw(given.seed))
        if given.shrink and result.violations:
            result = shrink(result)
        show(as_text(result, log=True))
        return bool(result.violations)
    began = time.monotonic()

    def report(result: Result) -> None:
        show(as_text(result if given.no_shrink else shrink(result), log=False))

    wanted = set(given.only)
    if unknown := wanted - {*PROGRAMS, *KINDS}:
        parser.error(f"there is no program and no kind of fault with the name {min(unknown)}")
    fitting = (seed for seed in count(given.first) if wanted <= {(world := draw(seed)).program, *world.kinds})
    seeds = list(islice(fitting, given.seeds))
    failed = run_many(seeds, processes=given.processes, report=report, stop_at_first=given.stop_at_first)
    show(f"{len(seeds)} seeds, {failed} failed, {time.monotonic() - began:.1f} s")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
