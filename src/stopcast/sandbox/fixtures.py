"""A pytest fixture for the tests of programs that stop webcast tasks.

To use it, add to the conftest.py at the root of the tests: ``pytest_plugins = ["stopcast.sandbox.fixtures"]``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stopcast.sandbox.emulator import Emulator
from stopcast.sandbox.thread import serving


@pytest.fixture
def stopcast_sandbox() -> Iterator[Emulator]:
    """Yield an emulator; a test changes its settings through its attributes.

    It runs on a thread of its own: so it serves the tests of every event loop, of pytest-asyncio in each mode and loop
    scope, of anyio, and tests without a loop.
    """
    with serving(Emulator()) as emulator:
        yield emulator
