from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from processes import Shell, serving
from stopcast.sandbox import Emulator


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Runs the command, with the sandbox's key in the environment."""
    return Shell(tmp_path)


@pytest.fixture
def api() -> Iterator[Emulator]:
    """Serves an emulator on another thread. It has no quota, so that tests are quick."""
    with serving(Emulator(quota_per_second=None)) as emulator:
        yield emulator


@pytest.fixture
def at(api: Emulator) -> tuple[str, ...]:
    """Options that send a run to the emulator at full speed."""
    return ("--endpoint", api.url, "--max-per-second", "100000")
