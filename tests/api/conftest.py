"""Fixtures of this folder's tests."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from support.wire import Open, Wire


@pytest.fixture
async def wire() -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def opened(serve: Callable[..., Awaitable[None]], tls: ssl.SSLContext | None = None) -> Wire:
            async def of_this_wire(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await serve(made, reader, writer)

            made = Wire(of_this_wire, tls)
            return await stack.enter_async_context(made.serving())

        yield opened
