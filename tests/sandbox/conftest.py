"""Fixtures of this folder's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
import trustme

from stopcast.sandbox import Emulator
from support.signed_client import Client, Connect


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    async with AsyncExitStack() as stack:

        async def connect(emulator: Emulator, **settings: Any) -> Client:
            session = aiohttp.ClientSession(
                auto_decompress=False, timeout=aiohttp.ClientTimeout(total=settings.pop("timeout", 5)), **settings
            )
            return Client(await stack.enter_async_context(session), emulator.url)

        yield connect


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()
