"""Credentials that expire and are refreshed, on a virtual clock: hours of a run take a second."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from email.utils import formatdate
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest

from stopcast import Credentials, CredentialsRefusedError, CredentialsUnavailableError, Outcome, Status, Stopper, Task
from stopcast.events import ClockCorrected, CredentialsRefreshed, CredentialsRefreshFailed, CredentialsRefused, Event
from stopcast.ports import Answer, Gate, Request
from stopcast.sandbox import Emulator
from stopcast.sandbox.answers import ok, refusal
from stopcast.sandbox.checks import RefusedError, check_signature, read_target
from support.processes import Shell, settled_by, tasks, until, write_csv
from support.virtual import in_virtual_time

T = TypeVar("T")

TEN_MINUTES = 600.0
HOUR = 3600.0
#: Tasks that take 700 s at 8 calls a second.
MANY = 5600
TARGET = read_target("/?Action=StopWebcast&Version=2020-12-01")
#: Calls that a dead key may cost, beside those in flight.
FEW = 10


class Account:
    """An account whose keys live ten minutes: it issues them, and as the API it refuses those that have expired.

    Both go by its own clock, which is ahead of this machine's by ``clock_offset`` seconds.
    """

    def __init__(self, *, clock_offset: float = 0.0, latency_seconds: float = 0.02) -> None:
        self.clock_offset = clock_offset
        self.latency_seconds = latency_seconds
        self.began_at = time.time()
        self.issued: dict[str, tuple[Credentials, float]] = {}
        self.issued_at: list[float] = []
        self.revoked: set[str] = set()
        self.answers: Counter[str] = Counter()
        self.calls_by_key: Counter[str] = Counter()
        self.in_flight = self.most_in_flight = 0

    async def issue(self) -> Credentials:
        """Give a new key: a provider that really rotates."""
        now = asyncio.get_running_loop().time()
        name = f"AK{len(self.issued)}"
        # This machine's wall clock stands still beside the virtual one, and what counts is the difference.
        expires_at = time.time() + self.clock_offset + TEN_MINUTES
        credentials = Credentials(name, f"secret-{name}", f"token-{name}", expires_at=expires_at)
        self.issued[name] = credentials, now + TEN_MINUTES
        self.issued_at.append(now)
        return credentials

    async def send(self, request: Request, gate: Gate) -> Answer:
        await gate.permit()
        headers = gate.admit()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.latency_seconds)
            answer = self._answer(request.body, headers)
        finally:
            self.in_flight -= 1
        self.answers[answer.code or ""] += 1
        return Answer(
            answer.status,
            {**answer.headers, "Date": formatdate(time.time() + self.clock_offset, usegmt=True)},
            answer.body,
        )

    def _answer(self, body: bytes, headers: Mapping[str, str]) -> Any:
        name = headers["Authorization"].partition("Credential=")[2].partition("/")[0]
        self.calls_by_key[name] += 1
        credentials, dies_at = self.issued[name]
        signed = {**headers, "Host": headers["Host"]}
        lower = {name.lower(): value for name, value in signed.items()} | signed
        try:
            check_signature(
                credentials, TARGET, method="POST", headers=lower, body=body, now=time.time() + self.clock_offset
            )
        except RefusedError as error:
            return refusal({}, str(error))
        if name in self.revoked or asyncio.get_running_loop().time() >= dies_at:
            return refusal({}, "InvalidSecretToken")
        return ok({})

    @property
    def refused(self) -> int:
        """Calls whose key was refused."""
        return self.answers["InvalidSecretToken"]


@pytest.fixture
def account() -> Iterator[Account]:
    """The account that every Stopper of the test calls; none of them leaves a call in flight."""
    account = Account()
    yield account
    assert not account.in_flight


class Watched:
    """A run of ``number`` tasks against the account, its outcomes and its events."""

    def __init__(
        self, account: Account, provider: Callable[[], Awaitable[Credentials]], number: int, **settings: Any
    ) -> None:
        self.events: list[Event] = []
        self.outcomes: list[Outcome] = []
        self._number = number
        self._stopper = Stopper(
            provider,
            endpoint="http://127.0.0.1",
            transport=account,
            observers=[self.events.append],
            drain_seconds=0,
            **settings,
        )

    async def run(self) -> None:
        async with self._stopper as stopper:
            async for outcome in stopper.stop_all(tasks(self._number)):
                self.outcomes.append(outcome)

    def events_of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def statuses(self) -> Counter[Status]:
        return Counter(outcome.status for outcome in self.outcomes)


def test_a_run_of_hours_over_credentials_of_ten_minutes_never_uses_one_that_has_expired(account: Account) -> None:
    watched = Watched(account, account.issue, 3600, max_per_second=0.25)
    in_virtual_time(watched.run)

    assert watched.statuses == {Status.STOPPED: 3600}
    assert account.answers == {"ok": 3600}
    hours = account.issued_at[-1] / HOUR
    assert hours > 3.5
    # Each is replaced when a quarter of its life is left: eight in an hour.
    assert len(account.issued) == pytest.approx(8 * hours, abs=1.5)
    assert all(account.calls_by_key[name] for name in account.issued)
    assert len(watched.events_of(CredentialsRefreshed)) == len(account.issued) - 1


def test_credentials_of_unknown_expiry_are_refreshed_once_for_all_calls_when_they_are_refused(account: Account) -> None:
    async def without_expiry() -> Credentials:
        issued = await account.issue()
        return Credentials(issued.access_key, issued.secret_key, issued.session_token)

    account.latency_seconds = 0.5
    watched = Watched(account, without_expiry, MANY, max_per_second=8)
    in_virtual_time(watched.run)

    assert watched.statuses == {Status.STOPPED: MANY}
    assert len(account.issued) == 2
    assert 0 < account.refused <= FEW + account.most_in_flight
    assert len(watched.events_of(CredentialsRefused)) == len(watched.events_of(CredentialsRefreshed)) == 1


def test_a_clock_that_is_wrong_by_less_than_the_api_minds_costs_a_few_calls_and_no_task(account: Account) -> None:
    account.clock_offset = 500.0
    watched = Watched(account, account.issue, 3000, max_per_second=1)
    in_virtual_time(watched.run)

    assert watched.statuses == {Status.STOPPED: 3000}
    assert account.refused <= (FEW + account.most_in_flight) * len(account.issued)
    assert len(account.issued) >= 4


def test_once_the_clock_is_corrected_expiry_is_reckoned_by_the_server_s(account: Account) -> None:
    account.clock_offset = 1200.0
    watched = Watched(account, account.issue, 3000, max_per_second=1)
    in_virtual_time(watched.run)

    assert len(watched.events_of(ClockCorrected)) == 1
    assert watched.statuses == {Status.STOPPED: 3000}
    assert account.refused == 0


@pytest.mark.parametrize("trouble", ["raises", "hangs", "gives the same", "gives nonsense"])
def test_while_the_old_credentials_live_calls_go_on_and_the_provider_is_asked_again(
    account: Account, trouble: str
) -> None:
    asked: list[float] = []

    async def provider() -> Any:
        asked.append(asyncio.get_running_loop().time())
        if not 2 <= len(asked) <= 3:
            return await account.issue()
        match trouble:
            case "raises":
                raise OSError("token=hunter2")
            case "hangs":
                await asyncio.Event().wait()
            case "gives the same":
                return account.issued["AK0"][0]
        return {"ak": "hunter2"}

    watched = Watched(account, provider, 1200, max_per_second=1)
    in_virtual_time(watched.run)

    assert watched.statuses == {Status.STOPPED: 1200}
    assert account.refused == 0
    assert asked[3] < TEN_MINUTES
    assert account.calls_by_key["AK0"] > asked[3] - 20
    failures = watched.events_of(CredentialsRefreshFailed)
    assert len(failures) == (0 if trouble == "gives the same" else 2)
    assert "hunter2" not in repr(watched.events)


@pytest.mark.parametrize("trouble", ["raises", "hangs", "gives the same"])
def test_where_no_other_credentials_are_to_be_had_the_run_is_given_up_a_minute_after_the_refusal(
    account: Account, trouble: str
) -> None:
    first: list[Credentials] = []

    async def provider() -> Credentials:
        if not first:
            first.append(await account.issue())
        elif trouble == "raises":
            raise OSError("hunter2")
        elif trouble == "hangs":
            await asyncio.Event().wait()
        return first[0]

    ended_at = 0.0

    async def main() -> None:
        nonlocal ended_at
        with pytest.raises(CredentialsRefusedError, match="No other credentials were to be had") as refused:
            await watched.run()
        assert "hunter2" not in str(refused.value)
        ended_at = asyncio.get_running_loop().time()

    watched = Watched(account, provider, MANY, max_per_second=8)
    in_virtual_time(main)

    assert TEN_MINUTES + 55 < ended_at < TEN_MINUTES + 125
    assert watched.statuses.keys() <= {Status.STOPPED, Status.GAVE_UP}
    assert watched.statuses[Status.GAVE_UP] <= FEW + account.most_in_flight
    assert 0 < account.refused <= FEW + account.most_in_flight


def test_a_key_that_never_worked_and_comes_back_the_same_is_given_up_at_once(account: Account) -> None:
    asked = 0

    async def provider() -> Credentials:
        nonlocal asked
        asked += 1
        return account.issued["AK0"][0] if account.issued else await account.issue()

    async def main() -> None:
        account.revoked.add("AK0")
        with pytest.raises(CredentialsRefusedError, match="gives the same credentials as before"):
            await watched.run()
        assert asyncio.get_running_loop().time() < 5

    watched = Watched(account, provider, 1000)
    in_virtual_time(main)

    assert asked == 2
    assert 0 < account.refused <= FEW + account.most_in_flight


def test_new_credentials_that_are_refused_as_well_end_the_run_and_no_third_ones_are_asked_for(account: Account) -> None:
    async def main() -> None:
        account.revoked |= {f"AK{number}" for number in range(1, 100)}
        with pytest.raises(CredentialsRefusedError, match="InvalidSecretToken"):
            await watched.run()

    async def without_expiry() -> Credentials:
        issued = await account.issue()
        return Credentials(issued.access_key, issued.secret_key, issued.session_token)

    watched = Watched(account, without_expiry, MANY, max_per_second=8)
    in_virtual_time(main)

    assert len(account.issued) == 2
    assert account.calls_by_key["AK1"] <= FEW + account.most_in_flight
    assert account.refused <= 2 * (FEW + account.most_in_flight)


def test_a_slow_provider_holds_no_call_back_while_the_old_credentials_live(account: Account) -> None:
    async def slow() -> Credentials:
        if account.issued:
            await asyncio.sleep(50)
        return await account.issue()

    watched = Watched(account, slow, 2000, max_per_second=1)
    in_virtual_time(watched.run)

    assert account.answers == {"ok": 2000}
    times = sorted(outcome.seconds for outcome in watched.outcomes)
    assert times[-1] < 1


def test_a_key_that_is_replaced_in_time_is_not_refused_to_the_calls_that_still_carry_it(account: Account) -> None:
    async def main() -> None:
        async with Stopper(
            account.issue, endpoint="http://127.0.0.1", transport=account, timeout_seconds=900, drain_seconds=0
        ) as stopper:
            stopping = asyncio.create_task(stopper.stop(Task("app", "room", "task")))
            while not account.in_flight:
                await asyncio.sleep(0)
            account.revoked.add("AK0")
            account.latency_seconds = 0.02
            # It comes back refused long after the key has been replaced.
            while len(account.issued) < 2:
                await asyncio.sleep(1)
            assert (await stopping).status is Status.STOPPED

    account.latency_seconds = 590.0
    in_virtual_time(main)
    assert (account.refused, len(account.issued)) == (1, 2)


# The first credentials


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
