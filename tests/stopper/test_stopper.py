from __future__ import annotations

import asyncio
import gc
import time
import traceback
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import aclosing
from email.utils import formatdate
from typing import Any, Self, TypeVar

import orjson
import pytest

from stopcast import (
    ClockRefusedError,
    ClosedError,
    ConfigurationError,
    Credentials,
    CredentialsRefusedError,
    Outcome,
    RetryPolicy,
    Status,
    Stopper,
    Task,
    TokenBucket,
    Unlimited,
)
from stopcast.events import AppSetAside, ClockCorrected, Event, Throttled
from stopcast.ports import TransportError
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator, Faults
from stopcast.sandbox.answers import Answer, ok, refusal
from stopcast.tasks.task import Batch, RawRow
from stopcast.virtual_clock import VirtualClock

T = TypeVar("T")

TASK = Task("app", "room", "task")
GONE = "InvalidParameter.ErrorActiveTaskNotFound"
QUICK = RetryPolicy(first_wait_seconds=0.002, longest_wait_seconds=0.02, longest_retry_after_seconds=0.02)


def tasks(count: int, app_id: str = "app") -> list[Task]:
    return [Task(app_id, f"room-{number % 7}", f"task-{number}") for number in range(count)]


def stopper_at(emulator: Emulator, **settings: Any) -> Stopper:
    settings.setdefault("limiter", Unlimited())
    settings.setdefault("retry", QUICK)
    return Stopper(settings.pop("credentials", SANDBOX_CREDENTIALS), endpoint=emulator.url, **settings)


async def everything(stopper: Stopper, given: Any) -> list[Outcome]:
    return [outcome async for outcome in stopper.stop_all(given)]


def counted(outcomes: list[Outcome]) -> Counter[Status]:
    return Counter(outcome.status for outcome in outcomes)


class Api:
    """A transport that answers from a function, for the time that passes on a virtual clock."""

    def __init__(self, answer: Callable[[Task], Answer], *, latency_seconds: float = 0.02) -> None:
        self.answer = answer
        self.latency_seconds = latency_seconds
        #: Loop time at which each call was sent, by task.
        self.sent: list[tuple[float, Task]] = []
        self.in_flight = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        assert not self.in_flight

    async def send(
        self, body: bytes, _headers: Mapping[str, str], admit: Callable[[], Awaitable[None]], _query: str = ""
    ) -> tuple[int, Mapping[str, str], bytes]:
        ids = orjson.loads(body)
        task = Task(ids["AppId"], ids["RoomId"], ids["TaskId"])
        self.in_flight += 1
        try:
            await admit()
            self.sent.append((asyncio.get_running_loop().time(), task))
            await asyncio.sleep(self.latency_seconds)
            answer = self.answer(task)
        finally:
            self.in_flight -= 1
        return answer.status, answer.headers, answer.body

    def times_of(self, task: Task) -> list[float]:
        return [moment for moment, sent in self.sent if sent == task]


def stopped(_: Task) -> Answer:
    return ok({})


UseApi = Callable[[Api], None]


@pytest.fixture
def use_api(monkeypatch: pytest.MonkeyPatch) -> UseApi:
    def use(api: Api) -> None:
        monkeypatch.setattr("stopcast.stopper.task_calls.AiohttpTransport", lambda *_, **__: api)

    return use


def on_virtual_clock(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with asyncio.Runner(loop_factory=VirtualClock) as runner:
        return runner.run(main())


@pytest.fixture
async def complaints() -> AsyncIterator[list[str]]:
    """What the event loop or the garbage collector complains of, and the tasks that were left behind."""
    told: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(str(context)))
    before = asyncio.all_tasks()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield told
        gc.collect()
        # A generator that the test itself left half-way is closed by the event loop, a few turns later.
        for _ in range(5):
            await asyncio.sleep(0)
    told += [str(warning.message) for warning in caught]
    assert told == []
    left = [task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()]
    assert left == []


# One task


async def test_a_running_task_is_stopped() -> None:
    async with Emulator() as emulator, stopper_at(emulator) as stopper:
        outcome = await stopper.stop(TASK)
    assert emulator.stopped == {TASK}
    assert (outcome.task, outcome.status, outcome.attempts, outcome.http_status) == (TASK, Status.STOPPED, 1, 200)
    assert outcome.request_id == "sandbox-000000000001"
    assert outcome.good
    assert abs(outcome.finished_at - time.time()) < 60


async def test_a_task_that_runs_no_longer_was_already_stopped() -> None:
    async with Emulator(running=[]) as emulator, stopper_at(emulator) as stopper:
        outcome = await stopper.stop(TASK)
    assert (outcome.status, outcome.code, outcome.attempts) == (Status.ALREADY_STOPPED, GONE, 1)


async def test_a_task_that_the_api_refuses_has_failed_at_once() -> None:
    async with Emulator(faults=Faults({"parameter": [TASK]})) as emulator, stopper_at(emulator) as stopper:
        outcome = await stopper.stop(TASK)
    assert (outcome.status, outcome.code, outcome.attempts) == (Status.FAILED, "InvalidParameter", 1)
    assert not outcome.good


async def test_a_task_is_given_up_when_its_attempts_run_out() -> None:
    policy = RetryPolicy(max_attempts=4, first_wait_seconds=0.001)
    async with Emulator(fail_forever=[TASK]) as emulator, stopper_at(emulator, retry=policy) as stopper:
        outcome = await stopper.stop(TASK)
    assert (outcome.status, outcome.code, outcome.attempts) == (Status.GAVE_UP, "InternalError", 4)
    assert emulator.calls == 4


@pytest.mark.parametrize("given", [Task("app", "room", "a b"), ("", "room", "task"), ("app", None, "task"), "abc", 7])
async def test_what_is_no_task_is_invalid_and_not_sent(given: Any) -> None:
    async with Emulator() as emulator, stopper_at(emulator) as stopper:
        outcome = await stopper.stop(given)
    assert (outcome.status, outcome.attempts, emulator.calls) == (Status.INVALID, 0, 0)
    assert outcome.message


# What cannot be known


@pytest.mark.parametrize("fault", ["reset", "close", "hang", "internal", "unavailable", "html_502", "huge", "not_json"])
async def test_gone_after_an_attempt_whose_fate_is_unknown_is_presumed_to_be_our_doing(fault: str) -> None:
    async with (
        Emulator(running=[], faults=Faults({fault: [TASK]})) as emulator,
        stopper_at(emulator, timeout_seconds=0.3) as stopper,
    ):
        outcome = await stopper.stop(TASK)
    assert (outcome.status, outcome.code, outcome.attempts) == (Status.PRESUMED_STOPPED, GONE, 2)
    assert outcome.good


@pytest.mark.parametrize("fault", ["reset_after", "close_after", "cut_body", "drip", "gzip"])
async def test_a_call_that_worked_and_lost_its_answer_ends_as_presumed(fault: str) -> None:
    async with (
        Emulator(faults=Faults({fault: [TASK]})) as emulator,
        stopper_at(emulator, timeout_seconds=0.3) as stopper,
    ):
        outcome = await stopper.stop(TASK)
    assert emulator.stopped == {TASK}
    assert (outcome.status, outcome.attempts) == (Status.PRESUMED_STOPPED, 2)


@pytest.mark.parametrize("fault", ["throttled", "throttled_200", "timestamp", "signature", "access_key"])
async def test_gone_after_an_attempt_that_surely_did_nothing_was_already_so(fault: str) -> None:
    async with (
        Emulator(running=[], faults=Faults({fault: [TASK]})) as emulator,
        stopper_at(emulator) as stopper,
    ):
        outcome = await stopper.stop(TASK)
    assert (outcome.status, outcome.attempts) == (Status.ALREADY_STOPPED, 2)


async def test_a_refused_connection_puts_nothing_in_doubt() -> None:
    retry = RetryPolicy(max_attempts=1000, first_wait_seconds=0.002, longest_wait_seconds=0.01)
    async with Emulator(running=[]) as emulator, stopper_at(emulator, retry=retry) as stopper:
        async with emulator.outage(refuse=True):
            stopping = asyncio.create_task(stopper.stop(TASK))
            while not stopper.dispatcher.waiting:
                await asyncio.sleep(0)
        outcome = await stopping
    assert outcome.status is Status.ALREADY_STOPPED
    assert outcome.attempts >= 2


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TransportError("no connection", unsent=True), Status.ALREADY_STOPPED),
        (TransportError("connection lost"), Status.PRESUMED_STOPPED),
    ],
)
def test_a_lost_connection_puts_in_doubt_what_was_sent_over_it(
    use_api: UseApi, error: TransportError, status: Status
) -> None:
    errors = iter([error])

    def answer(_: Task) -> Answer:
        if (raised := next(errors, None)) is not None:
            raise raised
        return refusal({}, GONE)

    async def main() -> Outcome:
        async with Stopper(SANDBOX_CREDENTIALS, endpoint="http://127.0.0.1") as stopper:
            return await stopper.stop(TASK)

    use_api(Api(answer))
    assert on_virtual_clock(main).status is status


async def test_a_doubt_stays_through_what_comes_between() -> None:
    hits = {"reset": [TASK], "throttled": [TASK], "throttled_200": [TASK]}
    async with Emulator(running=[], faults=Faults(hits)) as emulator, stopper_at(emulator) as stopper:
        outcome = await stopper.stop(TASK)
    assert (outcome.status, outcome.attempts) == (Status.PRESUMED_STOPPED, 4)


# Many tasks


async def many(given: list[Task]) -> AsyncIterator[Task]:
    for task in given:
        yield task


@pytest.mark.parametrize(
    "form",
    [list, tuple, iter, many, lambda given: [tuple(task) for task in given], lambda given: (task for task in given)],
)
async def test_tasks_may_come_in_any_kind_of_iterable(form: Callable[[list[Task]], Any]) -> None:
    given = tasks(300)
    async with Emulator(quota_per_second=None) as emulator, stopper_at(emulator) as stopper:
        outcomes = await everything(stopper, form(given))
    assert {outcome.task for outcome in outcomes} == emulator.stopped == set(given)
    assert counted(outcomes) == {Status.STOPPED: 300}
    assert all(isinstance(outcome.task, Task) for outcome in outcomes)


async def test_every_row_has_one_outcome_the_bad_ones_and_the_doubles_among_them() -> None:
    given: list[Any] = [*tasks(100), *tasks(50), ("a", "b"), ("a b", "c", "d"), None, ("a", 1, "c")]
    async with Emulator(quota_per_second=None) as emulator, stopper_at(emulator) as stopper:
        outcomes = await everything(stopper, given)
    assert counted(outcomes) == {Status.STOPPED: 100, Status.DUPLICATE: 50, Status.INVALID: 4}
    assert sorted(outcome.line or 0 for outcome in outcomes) == list(range(1, 155))
    assert emulator.calls == 100


async def test_a_source_s_batches_keep_their_lines_and_their_doubts() -> None:
    async def source() -> AsyncIterator[Batch]:
        rows = [RawRow(*task, line) for line, task in enumerate([*tasks(1), *tasks(2)], start=40)]
        yield Batch("queue", rows, in_doubt=[False, False, True], told_apart=True)

    async with Emulator(running=[]) as emulator, stopper_at(emulator) as stopper:
        outcomes = await everything(stopper, source())
    told = sorted((outcome.source, outcome.line, outcome.status) for outcome in outcomes)
    assert told == [
        ("queue", 40, Status.ALREADY_STOPPED),
        ("queue", 41, Status.ALREADY_STOPPED),
        ("queue", 42, Status.PRESUMED_STOPPED),
    ]


async def test_no_tasks_give_no_outcomes() -> None:
    async with Emulator() as emulator, stopper_at(emulator) as stopper:
        assert await everything(stopper, []) == []


async def test_what_a_producer_raises_reaches_the_consumer() -> None:
    async def broken() -> AsyncIterator[Task]:
        yield TASK
        raise LookupError("no more")

    async with Emulator() as emulator, stopper_at(emulator) as stopper:
        with pytest.raises(LookupError, match="no more"):
            await everything(stopper, broken())
        assert (await stopper.stop(Task("app", "room", "other"))).good


async def test_a_slow_consumer_holds_the_producer_back() -> None:
    taken = 0

    def produced() -> Iterator[Task]:
        nonlocal taken
        for task in tasks(5000):
            taken += 1
            yield task

    async with (
        Emulator(quota_per_second=None) as emulator,
        stopper_at(emulator, max_at_once=8, max_waiting=20) as stopper,
        aclosing(stopper.stop_all(produced())) as outcomes,
    ):
        for consumed in range(1, 200):
            await anext(outcomes)
            if consumed % 50 == 0:
                # As long as it takes until nothing moves any more.
                while stopper.dispatcher.in_flight:
                    await asyncio.sleep(0.001)
            # In flight, waiting, and two batches of 64: one read ahead, one on its way.
            assert taken <= consumed + 8 + 20 + 2 * 64
    assert emulator.calls <= taken


async def test_a_slow_producers_rows_are_sent_as_they_come() -> None:
    rows: asyncio.Queue[Task] = asyncio.Queue()

    async def produced() -> AsyncIterator[Task]:
        while True:
            yield await rows.get()

    async with (
        Emulator() as emulator,
        stopper_at(emulator) as stopper,
        aclosing(stopper.stop_all(produced())) as outcomes,
    ):
        for task in tasks(5):
            rows.put_nowait(task)
            async with asyncio.timeout(5):
                assert (await anext(outcomes)).task == task


async def test_two_streams_share_the_cap(use_api: UseApi) -> None:
    del use_api
    async with (
        Emulator(quota_per_second=None) as emulator,
        # Calls may arrive 100 ms late, so that it does not matter how busy the machine is.
        stopper_at(emulator, limiter=TokenBucket(50, arrival_jitter=0.1)) as stopper,
    ):
        both = await asyncio.gather(everything(stopper, tasks(40, "a")), everything(stopper, tasks(40, "b")))
    assert [counted(outcomes) for outcomes in both] == [{Status.STOPPED: 40}] * 2
    assert emulator.worst_second() <= 50
    assert stopper.meter.calls == 80


def test_two_streams_take_turns(use_api: UseApi) -> None:
    api = Api(stopped)

    async def main() -> None:
        async with Stopper(SANDBOX_CREDENTIALS, endpoint="http://127.0.0.1") as stopper:
            await asyncio.gather(everything(stopper, tasks(600, "a")), everything(stopper, tasks(600, "b")))

    use_api(api)
    on_virtual_clock(main)
    halfway = Counter(task.app_id for _, task in api.sent[:600])
    assert abs(halfway["a"] - halfway["b"]) <= 2 * 64


# Ends


async def test_breaking_out_leaves_nothing_behind(complaints: list[str]) -> None:
    async with Emulator(quota_per_second=None, faults=Faults(latency_seconds=0.01)) as emulator:
        async with stopper_at(emulator) as stopper:
            async for _ in stopper.stop_all(tasks(500)):
                break
            assert (await stopper.stop(Task("app", "room", "other"))).good
        assert emulator.calls < 500
    assert complaints == []


async def test_closing_a_stream_sends_no_more_of_it(complaints: list[str]) -> None:
    async with Emulator(quota_per_second=None) as emulator, stopper_at(emulator) as stopper:
        outcomes = stopper.stop_all(tasks(500))
        await anext(outcomes)
        await outcomes.aclose()
        while stopper.dispatcher.in_flight:
            await asyncio.sleep(0.001)
        calls = emulator.calls
        await everything(stopper, tasks(10, "other"))
        assert emulator.calls == calls + 10
    assert complaints == []


async def test_a_producers_error_that_nobody_waits_for_any_more_is_no_complaint(complaints: list[str]) -> None:
    async def broken() -> AsyncIterator[Task]:
        yield TASK
        await asyncio.sleep(0.02)
        raise LookupError

    async with Emulator() as emulator, stopper_at(emulator) as stopper:
        outcomes = stopper.stop_all(broken())
        await anext(outcomes)
        await asyncio.sleep(0.05)
        await outcomes.aclose()
    assert complaints == []


async def test_a_producer_that_takes_its_time_to_end_does_not_stand_in_the_way_of_cancelling(
    complaints: list[str],
) -> None:
    ended = asyncio.Event()

    async def produced() -> AsyncIterator[Task]:
        try:
            yield TASK
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.02)
            ended.set()

    async with Emulator() as emulator, stopper_at(emulator) as stopper:
        stopping = asyncio.create_task(everything(stopper, produced()))
        while not emulator.stopped:
            await asyncio.sleep(0.001)
        for _ in range(3):
            stopping.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([stopping])
        assert stopping.cancelled()
        async with asyncio.timeout(5):
            await ended.wait()
    assert complaints == []


@pytest.mark.parametrize("turns", [*range(12), 15, 20, 30, 40, 60, 80, 120, 200])
async def test_cancelling_stop_leaves_nothing_behind(turns: int, complaints: list[str]) -> None:
    async with Emulator(faults=Faults({"internal": 0.5})) as emulator, stopper_at(emulator) as stopper:
        stopping = asyncio.create_task(stopper.stop(TASK))
        for _ in range(turns):
            await asyncio.sleep(0)
        stopping.cancel()
        await asyncio.wait([stopping])
        assert (await stopper.stop(Task("app", "room", "other"))).good
    assert complaints == []


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2])
@pytest.mark.parametrize("times", [1, 2])
async def test_cancelling_stop_all_leaves_nothing_behind(seconds: float, times: int, complaints: list[str]) -> None:
    faults = Faults({"internal": 0.2}, latency_seconds=0.005)
    async with (
        Emulator(quota_per_second=None, faults=faults) as emulator,
        stopper_at(emulator, limiter=None, max_per_second=1000) as stopper,
    ):
        stopping = asyncio.create_task(everything(stopper, many(tasks(1000))))
        await asyncio.sleep(seconds)
        for _ in range(times):
            stopping.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([stopping])
        assert stopping.cancelled()
        assert (await stopper.stop(Task("app", "room", "other"))).good
    assert complaints == []


async def test_leaving_the_block_lets_what_was_begun_come_to_its_end(complaints: list[str]) -> None:
    async with Emulator(quota_per_second=None, faults=Faults({"internal": 0.2}, latency_seconds=0.01)) as emulator:
        async with stopper_at(emulator) as stopper:
            stopping = asyncio.create_task(everything(stopper, tasks(100)))
            await asyncio.sleep(0)
        assert counted(await stopping) == {Status.STOPPED: 100}
    assert complaints == []


async def test_leaving_the_block_by_an_exception_cancels_what_was_begun(complaints: list[str]) -> None:
    async with Emulator(faults=Faults({"hang": 1.0})) as emulator:
        stopping: asyncio.Task[list[Outcome]] | None = None

        async def leave_early() -> None:
            nonlocal stopping
            async with stopper_at(emulator) as stopper:
                stopping = asyncio.create_task(everything(stopper, tasks(20)))
                while not emulator.calls:
                    await asyncio.sleep(0.001)
                raise LookupError

        with pytest.raises(LookupError):
            await leave_early()
        assert stopping is not None
        with pytest.raises(ClosedError):
            await stopping
    assert complaints == []


async def test_a_stream_whose_producer_waits_ends_with_the_block(complaints: list[str]) -> None:
    async def produced() -> AsyncIterator[Task]:
        yield TASK
        await asyncio.Event().wait()

    async with Emulator() as emulator:
        async with stopper_at(emulator, drain_seconds=0.05) as stopper:
            stopping = asyncio.create_task(everything(stopper, produced()))
            while not emulator.stopped:
                await asyncio.sleep(0.001)
        async with asyncio.timeout(5):
            with pytest.raises(ClosedError):
                await stopping
    assert complaints == []


async def test_a_drain_takes_no_longer_than_it_may() -> None:
    async with Emulator(faults=Faults({"hang": 1.0})) as emulator:
        async with asyncio.timeout(5):
            async with stopper_at(emulator, drain_seconds=0.05) as stopper:
                stopping = asyncio.create_task(stopper.stop(TASK))
                await asyncio.sleep(0)
        with pytest.raises(ClosedError):
            await stopping


async def test_outside_its_block_a_stopper_is_closed() -> None:
    async with Emulator() as emulator:
        stopper = stopper_at(emulator)
        with pytest.raises(ClosedError):
            await stopper.stop(TASK)
        async with stopper:
            assert (await stopper.stop(TASK)).good
        with pytest.raises(ClosedError):
            await stopper.stop(TASK)


# What concerns more than one task


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials("sandbox", "wrong-secret-s3cr3t"),
        Credentials("unknown", "wrong-secret-s3cr3t"),
        Credentials("sandbox", "sandbox-secret", "token-s3cr3t"),
    ],
)
@pytest.mark.parametrize("latency_seconds", [0.0, 0.05])
async def test_refused_credentials_stop_the_calls_after_a_handful(
    credentials: Credentials, latency_seconds: float, complaints: list[str]
) -> None:
    async with Emulator(faults=Faults(latency_seconds=latency_seconds)) as emulator:
        with pytest.raises(CredentialsRefusedError, match="secret") as caught:
            async with stopper_at(emulator, credentials=credentials, limiter=None) as stopper:
                await everything(stopper, tasks(1000))
        # Three refusals, those that were in flight at the third, and one that leaves just then.
        assert emulator.calls <= 10 + int(latency_seconds * 150) + 1
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(stopper) + repr(credentials)
    assert "s3cr3t" not in told
    assert "sandbox-secret" not in told
    assert complaints == []


async def test_calls_that_wait_for_their_permit_are_not_made_once_the_key_is_refused(complaints: list[str]) -> None:
    async with Emulator() as emulator:

        async def revoke_the_key_midway() -> None:
            async with stopper_at(emulator, limiter=TokenBucket(20)) as stopper:
                async for _ in stopper.stop_all(tasks(1000)):
                    if stopper.meter.calls == 10:
                        assert len(stopper.dispatcher._workers) > 15
                        emulator.credentials = Credentials("another", "key")

        with pytest.raises(CredentialsRefusedError):
            await revoke_the_key_midway()
        assert emulator.calls <= 10 + 3 + 2
    assert complaints == []


async def test_refused_credentials_are_told_even_while_the_producer_waits() -> None:
    async def produced() -> AsyncIterator[Task]:
        for task in tasks(5):
            yield task
        await asyncio.Event().wait()

    async with Emulator() as emulator, asyncio.timeout(5):
        with pytest.raises(CredentialsRefusedError):
            async with stopper_at(emulator, credentials=Credentials("unknown", "x")) as stopper:
                await everything(stopper, produced())


async def test_after_refused_credentials_no_further_call_is_made() -> None:
    async with Emulator() as emulator, stopper_at(emulator, credentials=Credentials("unknown", "x")) as stopper:
        with pytest.raises(CredentialsRefusedError):
            await everything(stopper, tasks(20))
        calls = emulator.calls
        with pytest.raises(CredentialsRefusedError):
            await stopper.stop(TASK)
        assert emulator.calls == calls


async def test_a_wrong_secret_never_looks_like_a_clock() -> None:
    events: list[Event] = []
    async with Emulator(clock_offset=600) as emulator:
        with pytest.raises(CredentialsRefusedError):
            async with stopper_at(
                emulator, credentials=Credentials("sandbox", "wrong"), observers=[events.append]
            ) as stopper:
                await everything(stopper, tasks(20))
    assert not [event for event in events if isinstance(event, ClockCorrected)]


async def test_a_refused_appid_is_set_aside_and_the_others_go_on() -> None:
    events: list[Event] = []
    given = [task for pair in zip(tasks(300, "dead"), tasks(300, "live"), strict=True) for task in pair]
    async with (
        Emulator(
            quota_per_second=None,
            refused_apps={"dead": "InvalidParameter.NotExistAppId"},
            faults=Faults(latency_seconds=0.005),
        ) as emulator,
        stopper_at(emulator, observers=[events.append], max_at_once=8) as stopper,
    ):
        outcomes = await everything(stopper, given)
    live = [outcome for outcome in outcomes if outcome.task.app_id == "live"]
    dead = counted([outcome for outcome in outcomes if outcome.task.app_id == "dead"])
    assert counted(live) == {Status.STOPPED: 300}
    assert dead[Status.FAILED] + dead[Status.SET_ASIDE] == 300
    assert dead[Status.FAILED] <= 10
    set_aside = [event for event in events if isinstance(event, AppSetAside)]
    assert set_aside == [AppSetAside("dead", "InvalidParameter.NotExistAppId")]


@pytest.mark.parametrize("ahead", [-1200.0, 1200.0, -86400.0])
async def test_a_clock_that_is_wrong_is_corrected_once_for_all_calls(ahead: float) -> None:
    events: list[Event] = []
    async with (
        Emulator(quota_per_second=None, clock_offset=ahead, faults=Faults(latency_seconds=0.01)) as emulator,
        stopper_at(emulator, observers=[events.append]) as stopper,
    ):
        outcomes = await everything(stopper, tasks(300))
    assert counted(outcomes) == {Status.STOPPED: 300}
    corrections = [event.offset_seconds for event in events if isinstance(event, ClockCorrected)]
    assert len(corrections) == 1
    assert abs(corrections[0] - ahead) <= 2


async def test_a_corrected_clock_that_is_still_refused_ends_the_calls() -> None:
    async with Emulator(faults=Faults({"timestamp": 1.0})) as emulator:
        with pytest.raises(ClockRefusedError):
            async with stopper_at(emulator, limiter=None) as stopper:
                await everything(stopper, tasks(500))
        assert emulator.calls <= 10


def test_a_task_whose_time_is_refused_for_ever_while_others_pass_is_given_up(use_api: UseApi) -> None:
    def answer(task: Task) -> Answer:
        if task != TASK:
            return ok({})
        return refusal({}, "InvalidTimestamp")._replace(headers={"Date": formatdate(time.time(), usegmt=True)})

    async def main() -> list[Outcome]:
        async with virtual_stopper(retry=RetryPolicy(max_attempts=5)) as stopper:
            return await everything(stopper, [*tasks(300), TASK, *tasks(3000, "other")])

    use_api(api := Api(answer))
    assert counted(on_virtual_clock(main)) == {Status.STOPPED: 3300, Status.GAVE_UP: 1}
    assert len(api.times_of(TASK)) == 5


async def test_a_throttled_answer_is_told_and_slows_every_call() -> None:
    events: list[Event] = []
    limiter = TokenBucket(150)
    async with (
        Emulator(faults=Faults({"throttled": [TASK], "throttled_200": [TASK]})) as emulator,
        stopper_at(emulator, limiter=limiter, observers=[events.append]) as stopper,
    ):
        outcome = await stopper.stop(TASK)
        assert limiter.rate < limiter.full_rate
    assert (outcome.status, outcome.attempts) == (Status.STOPPED, 3)
    assert sum(isinstance(event, Throttled) for event in events) == 2


# Settings


@pytest.mark.parametrize("endpoint", [None, "https://open.byteplusapi.com", "https://example.com"])
def test_more_than_the_quota_is_refused_unless_a_limiter_says_so(endpoint: str | None) -> None:
    with pytest.raises(ConfigurationError, match="quota"):
        Stopper(SANDBOX_CREDENTIALS, max_per_second=150.5, endpoint=endpoint)
    assert Stopper(SANDBOX_CREDENTIALS, limiter=TokenBucket(300), endpoint=endpoint).limiter
    assert Stopper(SANDBOX_CREDENTIALS, max_per_second=5000, endpoint="http://127.0.0.1:1").limiter


@pytest.mark.parametrize(
    "settings",
    [
        {"max_per_second": 0},
        {"max_per_second": float("nan")},
        {"max_at_once": 0},
        {"timeout_seconds": 0},
        {"timeout_seconds": -1},
        {"max_waiting": -1},
        {"endpoint": "http://example.com"},
        {"endpoint": "ftp://127.0.0.1"},
    ],
)
def test_a_setting_that_cannot_be_used_is_a_configuration_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Stopper(SANDBOX_CREDENTIALS, **settings)


# Long runs, on a virtual clock


def virtual_stopper(**settings: Any) -> Stopper:
    return Stopper(SANDBOX_CREDENTIALS, endpoint="http://127.0.0.1", **settings)


def failing(seconds: float, how: str) -> Callable[[Task], Answer]:
    def answer(_: Task) -> Answer:
        if asyncio.get_running_loop().time() >= seconds:
            return ok({})
        if how == "refused":
            raise TransportError("refused", unsent=True)
        if how == "reset":
            raise TransportError("reset")
        return refusal({}, how)

    return answer


@pytest.mark.parametrize("how", ["ServiceUnavailable", "InternalError", "reset", "FlowLimitExceeded"])
@pytest.mark.parametrize("count", [200, 3000])
def test_an_outage_of_a_minute_ends_with_every_task_stopped(use_api: UseApi, how: str, count: int) -> None:
    async def main() -> list[Outcome]:
        async with virtual_stopper() as stopper:
            return await everything(stopper, tasks(count))

    use_api(Api(failing(60.0, how)))
    assert counted(on_virtual_clock(main)) == {Status.STOPPED: count}


def test_refused_connections_for_a_minute_end_with_every_task_stopped(use_api: UseApi) -> None:
    class Refusing(Api):
        async def send(
            self, body: bytes, headers: Mapping[str, str], admit: Callable[[], Awaitable[None]], query: str = ""
        ) -> tuple[int, Mapping[str, str], bytes]:
            if asyncio.get_running_loop().time() < 60:
                await asyncio.sleep(0.001)
                raise TransportError("refused", unsent=True)
            return await super().send(body, headers, admit, query)

    async def main() -> list[Outcome]:
        async with virtual_stopper() as stopper:
            return await everything(stopper, tasks(3000))

    use_api(Refusing(stopped))
    outcomes = on_virtual_clock(main)
    assert counted(outcomes) == {Status.STOPPED: 3000}


def test_tasks_that_fail_for_ever_do_not_keep_the_others_from_the_full_rate(use_api: UseApi) -> None:
    given = tasks(6000)
    bad = set(given[::20])
    api = Api(lambda task: refusal({}, "InternalError") if task in bad else ok({}))

    async def main() -> list[Outcome]:
        async with virtual_stopper() as stopper:
            return await everything(stopper, given)

    use_api(api)
    outcomes = on_virtual_clock(main)
    assert counted(outcomes) == {Status.STOPPED: 5700, Status.GAVE_UP: 300}
    first_calls: dict[Task, float] = {}
    for moment, task in api.sent:
        first_calls.setdefault(task, moment)
    last = max(first_calls.values())
    # Retries take a tenth of the calls at the most while fresh rows are ready.
    assert last <= 6000 / 148 / 0.9 + 1
    assert sum(moment <= last for moment, _ in api.sent) / last >= 148


def test_a_retry_is_not_left_to_the_end(use_api: UseApi) -> None:
    given = tasks(4000)
    early = given[10]
    refused = iter([True])
    api = Api(lambda task: refusal({}, "InternalError") if task == early and next(refused, False) else ok({}))

    async def main() -> list[Outcome]:
        async with virtual_stopper() as stopper:
            return await everything(stopper, given)

    use_api(api)
    assert counted(on_virtual_clock(main)) == {Status.STOPPED: 4000}
    first, second = api.times_of(early)
    # Half a second of backoff at most, and its turn: ten calls, and those before the wire.
    assert second - first <= 0.5 + (10 + 64) / 148 + 0.1


def test_answers_that_take_two_seconds_do_not_slow_the_calls(use_api: UseApi) -> None:
    api = Api(stopped, latency_seconds=2.0)

    async def main() -> list[Outcome]:
        async with virtual_stopper() as stopper:
            return await everything(stopper, tasks(3000))

    use_api(api)
    on_virtual_clock(main)
    sent = [moment for moment, _ in api.sent]
    assert sent[-1] <= 3000 / 148 + 1
    assert sum(5 <= moment < 15 for moment in sent) >= 1480


def test_a_call_is_bounded_from_its_permit_and_not_before(use_api: UseApi) -> None:
    async def main() -> list[Outcome]:
        async with virtual_stopper(max_per_second=1, timeout_seconds=5) as stopper:
            return await everything(stopper, tasks(30))

    use_api(Api(stopped))
    assert {outcome.attempts for outcome in on_virtual_clock(main)} == {1}


def test_a_retry_after_is_honoured_for_all(use_api: UseApi) -> None:
    slow_down = iter([True])

    def answer(_: Task) -> Answer:
        if next(slow_down, False):
            return refusal({}, "FlowLimitExceeded")._replace(headers={"Retry-After": "20"})
        return ok({})

    api = Api(answer)

    async def main() -> list[Outcome]:
        async with virtual_stopper() as stopper:
            return await everything(stopper, tasks(300))

    use_api(api)
    assert counted(on_virtual_clock(main)) == {Status.STOPPED: 300}
    gap = max(later - earlier for (earlier, _), (later, _) in zip(api.sent, api.sent[1:], strict=False))
    assert 19.9 <= gap <= 20.2


def test_the_wall_clock_does_not_matter_to_waiting(use_api: UseApi, monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.time()
    api = Api(lambda _: refusal({}, "ServiceUnavailable")._replace(headers={}))

    async def main() -> tuple[Outcome, float]:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(time, "time", lambda: began + (3600 if int(loop.time()) % 2 else -3600))
        async with virtual_stopper(retry=RetryPolicy(max_attempts=5)) as stopper:
            return await stopper.stop(TASK), loop.time()

    use_api(api)
    outcome, took = on_virtual_clock(main)
    assert outcome.status is Status.GAVE_UP
    assert outcome.seconds <= took <= 0.5 + 1 + 2 + 4 + 5 * 0.02 + 1


def test_a_servers_date_far_away_still_leads_to_one_correction(use_api: UseApi) -> None:
    events: list[Event] = []
    refused = iter([True] * 5)

    def answer(_: Task) -> Answer:
        if next(refused, False):
            headers = {"Date": formatdate(time.time() + 1200, usegmt=True)}
            return refusal({}, "InvalidTimestamp")._replace(headers=headers)
        return ok({})

    async def main() -> list[Outcome]:
        async with virtual_stopper(observers=[events.append]) as stopper:
            return await everything(stopper, tasks(100))

    # Five calls are in flight when the first refusal comes.
    use_api(Api(answer, latency_seconds=0.05))
    assert counted(on_virtual_clock(main)) == {Status.STOPPED: 100}
    assert sum(isinstance(event, ClockCorrected) for event in events) == 1


# Steering


def test_while_paused_no_call_is_made_and_none_waits_signed_then_all_are_made_once(use_api: UseApi) -> None:
    api = Api(stopped)

    async def main() -> list[Outcome]:
        async with virtual_stopper() as stopper, asyncio.TaskGroup() as group:
            stopping = group.create_task(everything(stopper, tasks(600)))
            await asyncio.sleep(2)
            stopper.pause()
            assert stopper.paused
            made = len(api.sent)
            await asyncio.sleep(1)
            assert (len(api.sent), api.in_flight) == (made, 0)
            await asyncio.sleep(3600)
            assert len(api.sent) == made
            stopper.resume()
            assert not stopper.paused
        return stopping.result()

    use_api(api)
    assert counted(on_virtual_clock(main)) == {Status.STOPPED: 600}
    assert len(api.sent) == len({task for _, task in api.sent}) == 600
    assert api.sent[-1][0] <= 3603 + 600 / 148 + 1


def test_a_retry_that_falls_due_while_paused_waits_too(use_api: UseApi) -> None:
    answers = iter([refusal({}, "InternalError")._replace(headers={"Retry-After": "20"})])
    api = Api(lambda _: next(answers, ok({})))

    async def main() -> Outcome:
        async with virtual_stopper() as stopper, asyncio.TaskGroup() as group:
            stopping = group.create_task(stopper.stop(TASK))
            await asyncio.sleep(1)
            stopper.pause()
            await asyncio.sleep(100)
            stopper.resume()
        return stopping.result()

    use_api(api)
    assert on_virtual_clock(main).status is Status.STOPPED
    assert [moment > 100 for moment, _ in api.sent] == [False, True]


@pytest.mark.usefixtures("complaints")
async def test_a_stopper_that_is_left_while_paused_leaves_nothing_behind() -> None:
    async with Emulator() as emulator, stopper_at(emulator, drain_seconds=0.01) as stopper:
        stopper.pause()
        stopping = asyncio.create_task(stopper.stop(TASK))
        await asyncio.sleep(0)
    with pytest.raises(ClosedError):
        await stopping
    assert not emulator.calls


def test_the_rate_can_be_changed_while_calls_wait(use_api: UseApi) -> None:
    api = Api(stopped)

    async def main() -> list[Outcome]:
        async with virtual_stopper() as stopper, asyncio.TaskGroup() as group:
            stopping = group.create_task(everything(stopper, tasks(3000)))
            await asyncio.sleep(5)
            stopper.limit_to(30)
            await asyncio.sleep(10)
            stopper.limit_to(150)
        return stopping.result()

    use_api(api)
    assert counted(on_virtual_clock(main)) == {Status.STOPPED: 3000}
    slow = sum(5.1 <= moment < 14.9 for moment, _ in api.sent)
    assert 0.98 * 30 * 9.8 <= slow <= 30 * 9.8
    assert api.sent[-1][0] <= 15 + (3000 - 150 * 5 - 300) / 148 + 1


@pytest.mark.parametrize("rate", [0, -1, 0.5, 150.1, float("nan"), float("inf")])
async def test_a_rate_above_the_cap_or_next_to_none_is_refused(rate: float) -> None:
    async with Emulator() as emulator, stopper_at(emulator, limiter=TokenBucket(150)) as stopper:
        with pytest.raises(ConfigurationError, match="from 1 to 150"):
            stopper.limit_to(rate)


async def test_a_limiter_whose_rate_cannot_be_changed_says_so() -> None:
    async with Emulator() as emulator, stopper_at(emulator, limiter=Unlimited()) as stopper:
        with pytest.raises(ConfigurationError, match="cannot be changed"):
            stopper.limit_to(10)
