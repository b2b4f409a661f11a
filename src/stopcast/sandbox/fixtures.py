"""A pytest fixture for the tests of programs that stop webcast tasks.

Ask for it in a conftest, with pytest-asyncio installed: ``pytest_plugins = ["stopcast.sandbox.fixtures"]``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from stopcast.sandbox.emulator import Emulator


@pytest_asyncio.fixture
async def stopcast_sandbox() -> AsyncIterator[Emulator]:
    """Yield an emulator that runs on the test's own event loop; its settings are attributes, to be set by the test."""
    async with Emulator() as emulator:
        yield emulator
