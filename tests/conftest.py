from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
import redis
from hypothesis import HealthCheck, settings

from stopcast.sandbox import Emulator
from stopcast.sandbox.thread import serving
from support.forked import Forks
from support.processes import Shell
from support.redis_server import RedisServer

# A shell that runs the tests in the background, or under nohup, has these ignored, and each process would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)

# The same examples each time, so that a change is judged by itself. For new ones: --hypothesis-profile=nightly
# No test fails because the machine is busy.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", _PATIENT, derandomize=True)
settings.register_profile("nightly", _PATIENT, derandomize=False, print_blob=True)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Accept the options of pytest-xdist that pyproject.toml sets where the plugin is switched off."""
    if not pluginmanager.hasplugin("xdist"):
        parser.addoption("--numprocesses", "--dist", help="ignored: pytest-xdist is off")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests whose fixtures start a Redis; a test that starts one itself has the mark already."""
    for item in items:
        if {"shared_redis", "redis_server"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("redis")


def pytest_collection_finish() -> None:
    """Exempt what was imported from garbage collection: the tests that collect garbage do so in a tenth of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Starts processes of the command without an interpreter's start."""
    with closing(Forks()) as forks:
        yield forks


@pytest.fixture
def shell(tmp_path: Path, forks: Forks) -> Iterator[Shell]:
    """Runs the command, with the sandbox's key in the environment. Ends the processes that the test left behind."""
    with closing(Shell(tmp_path, forks)) as shell:
        yield shell


@pytest.fixture
def api() -> Iterator[Emulator]:
    """Serves an emulator on another thread. It has no quota, so that tests are quick."""
    with serving(Emulator(quota_per_second=None, query_quota_per_second=None)) as emulator:
        yield emulator


@pytest.fixture
def at(api: Emulator) -> tuple[str, ...]:
    """Options that send a run to the emulator at full speed."""
    return ("--endpoint", api.url, "--max-per-second", "100000")


def _own_database(url: str) -> str:
    """Return the URL with a database of this process's own: those of pytest-xdist would empty each other's."""
    parts = urlsplit(url)
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return urlunsplit(parts._replace(path=f"/{int(parts.path[1:] or 0) + number}")) if url else ""


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Redis that all tests share and none breaks; see ``redis_url``."""
    if named := _own_database(os.environ.get("STOPCAST_TEST_REDIS_URL", "")):
        with closing(redis.Redis.from_url(named)) as client:
            assert client.dbsize() == 0, (
                "the database of STOPCAST_TEST_REDIS_URL is not empty, and tests would empty it"
            )
        yield named
        return
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    try:
        yield server.url
    finally:
        server.kill()


@pytest.fixture
def redis_url(shared_redis: str) -> Iterator[str]:
    """The URL of a Redis for one test; its database is empty."""
    yield shared_redis
    with closing(redis.Redis.from_url(shared_redis)) as client:
        client.flushdb()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own, to be killed, frozen and started again. It forgets everything when it is killed."""
    directory = tmp_path / "redis"
    directory.mkdir()
    server = RedisServer(directory)
    server.start()
    try:
        yield server
    finally:
        server.kill()
