"""A pytest fixture for the tests of programs that stop webcast tasks.

To use it, install pytest-asyncio and add to conftest.py: ``pytest_plugins = ["stopcast.sandbox.fixtures"]``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from stopcast.sandbox.emulator import Emulator


@pytest_asyncio.fixture
async def stopcast_sandbox() -> AsyncIterator[Emulator]:
    """Yield an emulator that runs on the test's own event loop; a test changes its settings through its attributes."""
    async with Emulator() as emulator:
        yield emulator
