from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.mutants import PATCHES, mutate

_TESTS = Path(__file__).parent.parent
#: Parts of a few seconds each: with two of them, the suite ended with one core waiting for the other.
_SEEDS, _PARTS = 300, 10
#: Among the seeds from 0 on are two long worlds, which take half of the time of 300.
_FIRST = 1000


def _simulation(*arguments: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    # In a process of its own, because each world forks, and a test runner has threads.
    return subprocess.run(
        [sys.executable, "-m", "simulation", *arguments],
        cwd=_TESTS,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        text=True,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("part", range(_PARTS))
def test_no_promise_breaks_in_the_worlds_of_these_seeds(part: int) -> None:
    seeds = _SEEDS // _PARTS
    ended = _simulation("--seeds", str(seeds), "--first", str(_FIRST + part * seeds), "--processes", "1")
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("seed", ["3", "57"])
def test_a_seed_replays_exactly_whatever_the_hashes_of_strings_are(seed: str) -> None:
    one, other = (_simulation(seed, hash_seed=hash_seed) for hash_seed in ("1", "2"))
    assert one.stdout
    assert one.stdout == other.stdout


@pytest.mark.parametrize("patch", sorted(PATCHES.glob("*.patch")), ids=lambda patch: patch.stem)
def test_each_mutant_can_still_be_made(patch: Path, tmp_path: Path) -> None:
    # One that cannot is made anew from the source as it is now, as simulation/mutants.py says.
    assert mutate(patch, tmp_path).is_dir()
