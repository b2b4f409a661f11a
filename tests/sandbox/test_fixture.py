"""The fixture for users' tests: small projects of tests, each run by a pytest of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from support.documents import assert_tests_pass

CONFTEST = 'pytest_plugins = ["stopcast.sandbox.fixtures"]\n'
BODY = """
    async with stopcast.Stopper(SANDBOX_CREDENTIALS, endpoint=stopcast_sandbox.url) as stopper:
        assert (await stopper.stop(stopcast.Task("app", room, "record"))).good
    assert stopcast_sandbox.stopped == {("app", room, "record")}
"""
IMPORTS = "import pytest, stopcast\nfrom stopcast.sandbox import SANDBOX_CREDENTIALS, Faults\n"


def project(directory: Path, text: str, *settings: str, plugins: Iterable[str] = ()) -> None:
    """Run the tests of this text; each has a parameter of two values."""
    (directory / "conftest.py").write_text(CONFTEST)
    (directory / "test_app.py").write_text(
        f"{IMPORTS}{text}".replace("\n@each", '\n@pytest.mark.parametrize("room", ["a", "b"])')
    )
    assert_tests_pass(directory, 2 * text.count("def test_"), *settings, plugins=plugins)


@pytest.mark.parametrize("fixtures", ["function", "session"])
def test_the_fixture_works_in_strict_mode_whatever_the_loop_scopes(tmp_path: Path, fixtures: str) -> None:
    text = "".join(
        f'\n@each\n@pytest.mark.asyncio(loop_scope="{scope}")\nasync def test_{scope}(stopcast_sandbox, room):{BODY}'
        for scope in ("function", "class", "module", "package", "session")
    )
    project(tmp_path, text, "asyncio_mode = strict", f"asyncio_default_fixture_loop_scope = {fixtures}")


def test_the_fixture_works_in_auto_mode_with_another_loop_for_fixtures_than_for_tests(tmp_path: Path) -> None:
    project(
        tmp_path,
        f"\n@each\nasync def test_stops(stopcast_sandbox, room):{BODY}",
        "asyncio_default_fixture_loop_scope = module",
        "asyncio_default_test_loop_scope = class",
    )


def test_the_fixture_works_under_the_plugin_of_anyio(tmp_path: Path) -> None:
    backend = '\n@pytest.fixture\ndef anyio_backend():\n    return "asyncio"\n'
    marked = f"\n@each\n@pytest.mark.anyio\nasync def test_stops(stopcast_sandbox, room):{BODY}"
    project(tmp_path, backend + marked, "asyncio_mode = strict", plugins=["anyio.pytest_plugin"])


def test_the_fixture_works_in_a_test_without_a_loop(tmp_path: Path) -> None:
    body = BODY.replace("\n", "\n    ")
    test = f"\n@each\ndef test_stops(stopcast_sandbox, room):\n    async def main():{body}\n    asyncio.run(main())\n"
    project(tmp_path, f"\nimport asyncio\n{test}")


def test_the_fixture_works_in_the_processes_of_xdist(tmp_path: Path) -> None:
    text = f"\n@each\nasync def test_stops(stopcast_sandbox, room):{BODY}"
    project(tmp_path, text, "addopts = -n 2", plugins=["xdist.plugin"])


def test_faults_and_outages_of_the_fixture_are_set_from_the_tests_own_loop(tmp_path: Path) -> None:
    text = """
@pytest.mark.parametrize("refuse", [False, True])
async def test_survives(stopcast_sandbox, refuse):
    room = "room"
    stopcast_sandbox.faults = Faults({"internal": [stopcast.Task("app", room, "record")]})
    retry = stopcast.RetryPolicy(max_attempts=1)
    async with stopcast.Stopper(SANDBOX_CREDENTIALS, endpoint=stopcast_sandbox.url, retry=retry) as stopper:
        for good in (False, True):
            assert (await stopper.stop(stopcast.Task("app", room, "record"))).good is good
        async with stopcast_sandbox.outage(refuse=refuse):
            assert (await stopper.stop(stopcast.Task("app", room, "screen"))).status == "gave_up"
        assert (await stopper.stop(stopcast.Task("app", room, "screen"))).status == "stopped"
"""
    project(tmp_path, text)
