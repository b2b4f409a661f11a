"""Shows that the simulator finds things: faults that were put back into today's code, as patches in ``mutants/``.

``python -m simulation.mutants [NAME...]`` applies each patch to a copy of the source, runs seeds until one fails, and
prints a table. The first line of a patch says what it breaks.

To write one: change ``src``, and run ``(echo "What it breaks"; git diff src) > tests/simulation/mutants/NAME.patch``.
A mutant that is not found asks for a kind of fault, or for a judge.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

_TESTS: Final = Path(__file__).parent.parent
PATCHES: Final = Path(__file__).parent / "mutants"
#: A mutant has to be found within these seeds.
SEEDS: Final = 2000


def mutate(patch: Path, folder: Path) -> Path:
    """Make a copy of the source with a patch applied, and return where it is."""
    source = folder / "src"
    shutil.copytree(_TESTS.parent / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["git", "apply", str(patch.resolve())], cwd=folder, check=True)
    return source


def find(patch: Path, *, seeds: int) -> tuple[str, str]:
    """Return the seed that finds a mutant, and what its judge says."""
    with tempfile.TemporaryDirectory() as folder:
        source = mutate(patch, Path(folder))
        ended = subprocess.run(
            [sys.executable, "-m", "simulation", "--seeds", str(seeds), "--no-shrink", "--stop-at-first"],
            cwd=_TESTS,
            env={**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"},
            text=True,
            capture_output=True,
            check=False,
        )
    found = re.search(r"^seed (\d+): .*\n  (.*)", ended.stdout, re.MULTILINE)
    if found is None:
        return "not found", ended.stderr[-200:]
    return found[1], found[2]


def main() -> int:
    """Print the table, and return 1 if a mutant was not found."""
    parser = argparse.ArgumentParser(prog="python -m simulation.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="of the mutants, all unless given")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    given = parser.parse_args()
    missed = 0
    for patch in sorted(PATCHES.glob("*.patch")):
        if given.names and patch.stem not in given.names:
            continue
        seed, sentence = find(patch, seeds=given.seeds)
        missed += seed == "not found"
        about = patch.read_text().partition("\n")[0]
        sys.stdout.write(f"| {patch.stem} | {about} | {seed} | {sentence[:120]} |\n")
        sys.stdout.flush()
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
