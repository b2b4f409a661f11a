"""The first credentials of a run, and keys in files that are replaced."""

from __future__ import annotations

import asyncio
import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from stopcast import Credentials, CredentialsUnavailableError, Stopper, Task
from stopcast.sandbox import Emulator
from support.expiring_account import FEW, Account, Watched
from support.processes import Shell, settled_by, tasks, until, write_csv
from support.virtual import in_virtual_time


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (OSError("hunter2"), "raises OSError"),
        ({"ak": "hunter2"}, "gives dict, not stopcast.Credentials"),
        (Credentials("AK", ""), "secret_key is empty"),
        (Credentials("AK", "hunter2\n"), "secret_key begins or ends with white space"),
        (Credentials("AK", "hunter2", expires_at="soon"), "expires_at is neither"),  # type: ignore[arg-type]
        (None, "does not answer"),
    ],
)
def test_without_first_credentials_nothing_is_sent_and_what_is_wrong_is_said(
    account: Account, given: Any, words: str
) -> None:
    async def provider() -> Any:
        if given is None:
            await asyncio.Event().wait()
        if isinstance(given, Exception):
            raise given
        return given

    async def main() -> None:
        with pytest.raises(CredentialsUnavailableError, match=words) as error:
            await Watched(account, provider, 1).run()
        assert "hunter2" not in str(error.value)

    in_virtual_time(main)
    assert not account.answers


async def test_leaving_the_block_ends_a_refresh_that_hangs() -> None:
    hanging = asyncio.Event()
    first = True

    async def provider() -> Credentials:
        nonlocal first
        if first:
            first = False
            return Credentials("gone", "secret")
        hanging.set()
        await asyncio.Event().wait()
        raise AssertionError

    before = asyncio.all_tasks()
    async with Emulator() as emulator:
        async with Stopper(provider, endpoint=emulator.url, drain_seconds=0) as stopper:
            stopping = asyncio.create_task(stopper.stop(Task("app", "room", "task")))
            await hanging.wait()
            stopping.cancel()
            await asyncio.wait([stopping])
        assert emulator.calls == 1
    assert asyncio.all_tasks() == before


# Keys in files


def put_key(shell: Shell, name: str) -> Credentials:
    path = shell.home / ".volcengine" / "config.json"
    path.parent.mkdir(exist_ok=True)
    credentials = Credentials(name, f"secret-of-{name}")
    profile = {"access-key": credentials.access_key, "secret-key": credentials.secret_key}
    # In one step: a running program may read the file at any moment.
    fresh = path.with_name("fresh")
    fresh.write_text(json.dumps({"profiles": {"default": profile}}))
    fresh.chmod(0o600)
    fresh.replace(path)
    return credentials


def test_a_key_that_is_rotated_in_its_file_is_taken_up_by_a_run_that_goes_on(
    shell: Shell, api: Emulator, at: tuple[str, ...]
) -> None:
    shell.variables.clear()
    api.credentials = put_key(shell, "first")
    given, calls = tasks(1500), count(1)

    def rotate_at_the_hundredth(_: Task) -> bool:
        if next(calls) == 100:
            api.credentials = put_key(shell, "second")
        return False

    api.fail_forever = rotate_at_the_hundredth
    finished = shell.run("run", write_csv(shell / "list.csv", given), *at, "--json")

    assert finished.status == 0, finished.err
    assert "InvalidAccessKey); new ones are asked for" in finished.err
    assert finished.summary["statuses"]["stopped"] == 1500
    assert settled_by(shell / "stopcast-report.jsonl", "stopped") == api.stopped == set(given)


def test_a_wrong_key_in_a_file_is_reported_at_once_with_what_to_fix(
    shell: Shell, api: Emulator, at: tuple[str, ...]
) -> None:
    shell.variables.clear()
    put_key(shell, "wrong")
    finished = shell.run("run", write_csv(shell / "list.csv", tasks(500)), *at)

    assert finished.status == 3
    assert "InvalidAccessKey" in finished.err
    assert "same credentials as before" in finished.err
    assert "secret-of-wrong" not in finished.err
    assert api.calls <= FEW + 512


def test_another_profile_in_the_file_is_not_taken_for_the_same_account(
    shell: Shell, api: Emulator, at: tuple[str, ...]
) -> None:
    shell.variables.clear()
    api.credentials = put_key(shell, "first")
    running = shell.start("run", write_csv(shell / "list.csv", tasks(100_000)), *at)
    until(lambda: len(api.stopped) > 100)
    path: Path = shell.home / ".volcengine" / "config.json"
    other = {"access-key": "other", "secret-key": "secret-of-other"}
    path.write_text(json.dumps({"current": "other", "profiles": {"other": other}}))
    api.credentials = Credentials("other", "secret-of-other")
    until(lambda: api.by_code["InvalidAccessKey"])
    stopped = len(api.stopped)
    running.terminate()
    _, err = running.communicate()

    assert "another profile has taken its place" in err.decode()
    assert len(api.stopped) == stopped
    assert running.returncode == 143
