from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from support.processes import Shell, with_variables
from support.queues import Clock, client_of
from support.quota_calls import Calls


@pytest.fixture
def url(redis_url: str) -> str:
    """The address of a queue."""
    return f"{redis_url}/tasks"


@pytest.fixture
def there(redis_url: str) -> Iterator[Any]:
    """A client for looking at what is in Redis."""
    with client_of(redis_url) as client:
        yield client


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    calls = Calls()
    yield calls
    await calls.end()


@pytest.fixture
def queue(shell: Shell, redis_url: str) -> Shell:
    """The shell, with the queue's address in the environment."""
    return with_variables(shell, {"STOPCAST_QUEUE": f"{redis_url}/tasks"})


@pytest.fixture
def clock() -> Clock:
    return Clock()
