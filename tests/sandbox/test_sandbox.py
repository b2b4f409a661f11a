from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import trustme
from volcenginesdkcore.signv4 import SignerV4
from yarl import URL

from stopcast.api.actions import request_body
from stopcast.api.endpoint import Endpoint
from stopcast.api.signing import Signer
from stopcast.credentials.value import Credentials
from stopcast.errors import ConfigurationError
from stopcast.ports import Request
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator, Faults
from stopcast.sandbox.answers import REFUSALS
from stopcast.sandbox.faults import FAULTS
from stopcast.tasks.task import Task

pytest_plugins = ["stopcast.sandbox.fixtures"]

TASK = Task("app", "room", "task-1")
GONE = "InvalidParameter.ErrorActiveTaskNotFound"
QUICKLY = 1.0


class Answer:
    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def code(self) -> str | None:
        """ "ok", or the error's code, or None where the answer is none of the API's."""
        try:
            answer = json.loads(self.body)
        except ValueError:
            return None
        error = answer["ResponseMetadata"].get("Error")
        return str(error["Code"] if error else answer["Result"])


class Client:
    """Signs with the program's own signer, sends with aiohttp, and lets a test spoil what is sent."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session, self.url = session, url

    async def stop(
        self,
        task: Task = TASK,
        *,
        credentials: Credentials = SANDBOX_CREDENTIALS,
        version: str = "2020-12-01",
        ahead: float = 0.0,
        body: bytes | None = None,
        spoil: Callable[[dict[str, str]], object] = lambda _: None,
        query: str | None = None,
    ) -> Answer:
        endpoint = Endpoint.parse(self.url, version=version)
        query = endpoint.query if query is None else query
        signer = Signer(credentials, host=endpoint.host, region=endpoint.region, query=query)
        body = request_body(task) if body is None else body
        headers = signer.sign(Request(body, query), time.time() + ahead)
        spoil(headers)
        return await self.send(body, headers, query)

    async def send(self, body: bytes, headers: dict[str, str], query: str) -> Answer:
        url = URL(f"{self.url}/?{query}", encoded=True)
        async with self.session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str) -> bytes:
        async with self.session.get(self.url + path) as response:
            return await response.read()


Connect = Callable[..., Awaitable[Client]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    async with AsyncExitStack() as stack:

        async def connect(emulator: Emulator, **settings: Any) -> Client:
            session = aiohttp.ClientSession(
                auto_decompress=False, timeout=aiohttp.ClientTimeout(total=settings.pop("timeout", 5)), **settings
            )
            return Client(await stack.enter_async_context(session), emulator.url)

        yield connect


@pytest.mark.parametrize("version", ["2020-12-01", "2023-11-01"])
async def test_a_stopped_task_gets_the_vendors_answer(connect: Connect, version: str) -> None:
    async with Emulator() as emulator:
        answer = await (await connect(emulator)).stop(version=version)
    said = json.loads(answer.body)
    assert said["ResponseMetadata"].pop("RequestId")
    assert said == {
        "ResponseMetadata": {"Action": "StopWebcast", "Version": version, "Service": "rtc", "Region": "cn-north-1"},
        "Result": "ok",
    }
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert emulator.stopped == {TASK}


async def test_a_refusal_is_the_vendors_answer(connect: Connect) -> None:
    async with Emulator(running=[]) as emulator:
        answer = await (await connect(emulator)).stop()
    said = json.loads(answer.body)
    error = said["ResponseMetadata"].pop("Error")
    assert (answer.status, error["Code"], said["Result"]) == (400, GONE, None)
    assert set(error) == {"CodeN", "Code", "Message"}
    assert set(said["ResponseMetadata"]) == {"RequestId", "Action", "Version", "Service", "Region"}


async def test_every_answer_has_a_request_id_of_its_own(connect: Connect) -> None:
    async with Emulator() as emulator:
        client = await connect(emulator)
        answers = await asyncio.gather(*(client.stop() for _ in range(20)))
    assert len({json.loads(answer.body)["ResponseMetadata"]["RequestId"] for answer in answers}) == 20


async def test_the_vendors_own_signature_is_accepted(connect: Connect) -> None:
    async with Emulator() as emulator:
        endpoint, body = Endpoint.parse(emulator.url), request_body(TASK)
        headers = {"Content-Type": "application/json", "Host": endpoint.host}
        query = {"Action": "StopWebcast", "Version": "2020-12-01"}
        key = SANDBOX_CREDENTIALS
        SignerV4.sign(
            "/", "POST", headers, body.decode(), {}, query, key.access_key, key.secret_key, "cn-north-1", "rtc"
        )
        answer = await (await connect(emulator)).send(body, headers, endpoint.query)
    assert answer.code == "ok"


def drop(name: str) -> Callable[[dict[str, str]], object]:
    return lambda headers: headers.pop(name)


def put(name: str, value: str) -> Callable[[dict[str, str]], object]:
    return lambda headers: headers.update({name: value})


def rewrite(old: str, new: str) -> Callable[[dict[str, str]], object]:
    return lambda headers: headers.update(Authorization=headers["Authorization"].replace(old, new))


@pytest.mark.parametrize(
    ("spoiled", "code"),
    [
        ({"credentials": Credentials("stranger", "sandbox-secret")}, "InvalidAccessKey"),
        ({"credentials": Credentials("sandbox", "guessed")}, "SignatureDoesNotMatch"),
        ({"credentials": Credentials("sandbox", "sandbox-secret", "a-token")}, "InvalidSecretToken"),
        ({"spoil": drop("Authorization")}, "MissingAuthenticationToken"),
        ({"spoil": put("Authorization", "Bearer x")}, "InvalidAuthorization"),
        ({"spoil": rewrite("/rtc/", "/vod/")}, "InvalidAuthorization"),
        ({"spoil": rewrite("/cn-north-1/", "/cn-south-1/")}, "SignatureDoesNotMatch"),
        ({"spoil": rewrite("content-type;host;", "content-type;")}, "SignatureDoesNotMatch"),
        ({"spoil": rewrite(";x-date", "")}, "SignatureDoesNotMatch"),
        ({"spoil": rewrite("content-type;host", "host;content-type")}, "SignatureDoesNotMatch"),
        ({"spoil": rewrite(";x-date", ";x-date;x-unsent")}, "SignatureDoesNotMatch"),
        ({"spoil": put("X-Content-Sha256", "0" * 64)}, "SignatureDoesNotMatch"),
        ({"spoil": put("Content-Type", "text/plain")}, "SignatureDoesNotMatch"),
        ({"spoil": put("Host", "elsewhere")}, "SignatureDoesNotMatch"),
        ({"spoil": drop("X-Date")}, "InvalidTimestamp"),
        ({"spoil": put("X-Date", "yesterday")}, "InvalidTimestamp"),
        ({"ahead": 890}, "ok"),
        ({"ahead": -890}, "ok"),
        ({"ahead": 910}, "InvalidTimestamp"),
        ({"ahead": -910}, "InvalidTimestamp"),
        ({"version": "2020-12-02"}, "InvalidActionOrVersion"),
        ({"query": "Action=StartWebcast&Version=2020-12-01"}, "InvalidActionOrVersion"),
        ({"query": ""}, "InvalidActionOrVersion"),
    ],
)
async def test_a_call_with_a_wrong_signature_or_target_is_refused(
    connect: Connect, spoiled: dict[str, Any], code: str
) -> None:
    async with Emulator() as emulator:
        answer = await (await connect(emulator)).stop(**spoiled)
    assert answer.code == code
    assert emulator.stopped == ({TASK} if code == "ok" else set())
    assert emulator.by_code == {code: 1}


async def test_a_body_other_than_the_signed_one_is_refused(connect: Connect) -> None:
    async with Emulator() as emulator:
        endpoint = Endpoint.parse(emulator.url)
        signer = Signer(SANDBOX_CREDENTIALS, host=endpoint.host, region=endpoint.region, query=endpoint.query)
        headers = signer.sign(Request(request_body(TASK), endpoint.query), time.time())
        client = await connect(emulator)
        answer = await client.send(request_body(Task("app", "room", "other")), headers, endpoint.query)
    assert (answer.code, len(emulator.stopped)) == ("SignatureDoesNotMatch", 0)


async def test_temporary_credentials_need_their_token(connect: Connect) -> None:
    temporary = Credentials("sandbox", "sandbox-secret", "a-token")
    async with Emulator(credentials=temporary) as emulator:
        client = await connect(emulator)
        assert (await client.stop(credentials=SANDBOX_CREDENTIALS)).code == "InvalidSecretToken"
        assert (await client.stop(credentials=temporary)).code == "ok"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"AppId":"a","RoomId":"r"}', "MissingParameter"),
        (b"{}", "MissingParameter"),
        (b'{"AppId":"a","RoomId":"r","TaskId":"t","Extra":1}', "InvalidParameter"),
        (b'{"AppId":"a","RoomId":"r","TaskId":1}', "InvalidParameter"),
        (b'{"AppId":"a","RoomId":"r","TaskId":""}', "InvalidParameter"),
        (b'{"AppId":"a","RoomId":"r","TaskId":"t t"}', "InvalidParameter"),
        (b'{"AppId":"a","RoomId":"r","TaskId":"t\\n"}', "InvalidParameter"),
        (b'["a","r","t"]', "InvalidParameter"),
        (b"AppId=a", "InvalidParameter"),
        (b"", "InvalidParameter"),
    ],
)
async def test_a_body_other_than_three_ids_is_refused(connect: Connect, body: bytes, code: str) -> None:
    async with Emulator() as emulator:
        answer = await (await connect(emulator)).stop(body=body)
    assert (answer.code, len(emulator.stopped)) == (code, 0)


async def test_a_task_stops_once_and_one_that_never_ran_does_not(connect: Connect) -> None:
    never = Task("app", "room", "never")
    async with Emulator([TASK]) as emulator:
        client = await connect(emulator)
        assert [(await client.stop(task)).code for task in (TASK, TASK, never)] == ["ok", GONE, GONE]
    assert list(emulator.stopped) == [TASK]


async def test_a_refused_app_is_refused_in_every_call(connect: Connect) -> None:
    async with Emulator(refused_apps={"bad": "InvalidParameter.NotExistAppId"}) as emulator:
        client = await connect(emulator)
        assert (await client.stop(Task("bad", "r", "t"))).code == "InvalidParameter.NotExistAppId"
        assert (await client.stop()).code == "ok"
    with pytest.raises(ConfigurationError, match="Nonsense"):
        Emulator(refused_apps={"bad": "Nonsense"})


async def test_calls_over_the_quota_are_throttled_until_a_second_has_passed(connect: Connect) -> None:
    async with Emulator(quota_per_second=5) as emulator:
        client = await connect(emulator)
        answers = [await client.stop(Task("app", "room", str(number))) for number in range(8)]
        assert [answer.code for answer in answers] == ["ok"] * 5 + ["FlowLimitExceeded.QPSOverLimit"] * 3
        assert (answers[-1].status, b'"CodeN":100027' in answers[-1].body) == (429, True)
        assert (emulator.calls, emulator.throttled, emulator.worst_second()) == (8, 3, 8)
        await asyncio.sleep(1.0)
        assert (await client.stop()).code == "ok"
        emulator.quota_per_second = None
        assert [(await client.stop(Task("app", "room", f"n{n}"))).code for n in range(9)] == ["ok"] * 9


async def test_a_call_that_is_not_the_accounts_does_not_count_for_its_quota(connect: Connect) -> None:
    async with Emulator(quota_per_second=1) as emulator:
        client = await connect(emulator)
        await client.stop(credentials=Credentials("stranger", "x"))
        assert (await client.stop()).code == "ok"
        assert emulator.calls == 2


@pytest.mark.parametrize(
    ("arrivals", "worst", "rate"),
    [
        ([], 0, 0.0),
        ([5.0], 1, 0.0),
        ([5.0, 5.0], 2, 0.0),
        ([0.0, 1.0, 2.0], 1, 1.0),
        ([0.0, 0.5, 0.999, 1.0], 3, 3.0),
        ([0.0, 0.9, 1.1, 1.8, 4.0], 3, 1.0),
    ],
)
def test_the_worst_second_and_the_rate_are_those_of_the_arrivals(
    arrivals: list[float], worst: int, rate: float
) -> None:
    emulator = Emulator()
    emulator.arrivals.extend(arrivals)
    assert emulator.worst_second() == worst
    assert emulator.rate() == pytest.approx(rate)


#: Fault, what the client meets (an exception, or a status and a code), whether the task is stopped.
FAULT_TABLE: list[tuple[str, type[BaseException] | tuple[int, str | None], bool]] = [
    ("gone", (400, GONE), False),
    ("ignored", (200, "ok"), False),
    ("throttled", (429, "FlowLimitExceeded.QPSOverLimit"), False),
    ("throttled_200", (200, "FlowLimitExceeded.QPSOverLimit"), False),
    ("internal", (500, "InternalError"), False),
    ("unavailable", (503, "ServiceUnavailable"), False),
    ("timestamp", (400, "InvalidTimestamp"), False),
    ("access_key", (401, "InvalidAccessKey"), False),
    ("signature", (401, "SignatureDoesNotMatch"), False),
    ("denied", (403, "AccessDenied"), False),
    ("app", (400, "InvalidParameter.NotExistAppId"), False),
    ("parameter", (400, "InvalidParameter"), False),
    ("html_502", (502, None), False),
    ("redirect", (302, None), False),
    ("empty", (200, None), False),
    ("not_json", (200, None), False),
    ("huge", (200, None), False),
    ("hang", TimeoutError, False),
    ("close", aiohttp.ServerDisconnectedError, False),
    ("reset", aiohttp.ClientOSError, False),
    ("close_after", aiohttp.ServerDisconnectedError, True),
    ("reset_after", aiohttp.ClientOSError, True),
    ("cut_body", aiohttp.ClientPayloadError, True),
    ("drip", TimeoutError, True),
    ("gzip", (200, None), True),
    *((code, (refusal.http_status, code), False) for code, refusal in REFUSALS.items()),
]


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


async def meet(client: Client) -> type[BaseException] | tuple[int, str | None]:
    try:
        answer = await client.stop()
    except (OSError, aiohttp.ClientError, TimeoutError) as error:
        return type(error)
    return answer.status, answer.code


@pytest.mark.parametrize(("fault", "met", "stopped"), FAULT_TABLE)
async def test_a_fault_hits_its_task_once_and_the_next_answer_is_true(
    connect: Connect, fault: str, met: object, *, stopped: bool
) -> None:
    async with Emulator(faults=Faults({fault: [TASK]})) as emulator:
        client = await connect(emulator, timeout=0.2 if met is TimeoutError else 5)
        assert await meet(client) == met
        assert emulator.stopped == ({TASK} if stopped else set())
        assert emulator.by_fault == {fault: 1}
        assert await meet(client) == ((400, GONE) if stopped else (200, "ok"))


def test_the_table_of_expectations_has_every_fault() -> None:
    assert {fault for fault, _, _ in FAULT_TABLE} == set(FAULTS)


@pytest.mark.parametrize("fault", ["reset", "reset_after", "close", "cut_body", "drip", "hang", "huge"])
async def test_faults_of_the_connection_also_work_over_tls(connect: Connect, authority: trustme.CA, fault: str) -> None:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with Emulator(ssl_context=server_context(authority), faults=Faults({fault: [TASK]})) as emulator:
        assert emulator.url.startswith("https://127.0.0.1:")
        timeout = 0.3 if fault in {"hang", "drip"} else 5
        client = await connect(emulator, timeout=timeout, connector=aiohttp.TCPConnector(ssl=trusting))
        first = await meet(client)
        assert first == (200, None) if fault == "huge" else isinstance(first, type)
        assert await meet(client) in {(200, "ok"), (400, GONE)}


async def test_some_faults_send_special_headers_and_bodies(connect: Connect) -> None:
    faults = Faults({name: [TASK] for name in ("unavailable", "redirect", "huge", "gzip")})
    async with Emulator(faults=faults) as emulator:
        client = await connect(emulator)
        unavailable, redirect, huge, compressed = [await client.stop() for _ in range(4)]
    assert unavailable.headers["Retry-After"] == "1"
    assert redirect.headers["Location"] == "/elsewhere"
    assert len(huge.body) == 64 << 20
    assert (compressed.headers["Content-Encoding"], b'"ok"' in gzip.decompress(compressed.body)) == ("gzip", True)


async def test_a_task_meets_one_fault_for_each_mention_in_their_order(connect: Connect) -> None:
    async with Emulator(faults=Faults({"throttled": [TASK, TASK], "internal": [TASK]})) as emulator:
        client = await connect(emulator)
        statuses = [(await client.stop()).status for _ in range(4)]
    assert statuses == [429, 429, 500, 200]


async def test_shares_are_random_and_the_seed_makes_them_repeatable(connect: Connect) -> None:
    struck = []
    for seed in (1, 1, 2):
        faults = Faults({"internal": 0.3, "throttled": 0.2}, seed=seed)
        async with Emulator(faults=faults, quota_per_second=None) as emulator:
            client = await connect(emulator)
            struck.append([(await client.stop(Task("app", "room", str(n)))).status for n in range(200)])
    assert struck[0] == struck[1] != struck[2]
    assert 40 < struck[0].count(500) < 80
    assert 25 < struck[0].count(429) < 55


def test_shares_are_parsed() -> None:
    assert Faults.parse("throttled=5%, reset = 2.5 %,LackPolicy=1%") == Faults(
        {"throttled": 0.05, "reset": 0.025, "LackPolicy": 0.01}
    )
    assert Faults.parse("") == Faults()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("trottled=5%", "'trottled': there is no fault of this name.*throttled"),
        ("throttled", "expected NAME=SHARE%"),
        ("throttled=0.05", "expected NAME=SHARE%"),
        ("throttled=-5%", "expected NAME=SHARE%"),
        ("throttled=101%", "0 to 100 %"),
        ("throttled=60%,reset=60%", "and their sum too"),
        ("reset=1%,reset=2%", "'reset' is named twice"),
    ],
)
def test_a_malformed_share_is_an_error_that_says_what_was_expected(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Faults.parse(text)


async def test_a_task_can_fail_for_ever(connect: Connect) -> None:
    other = Task("app", "room", "other")
    async with Emulator(fail_forever=[TASK]) as emulator:
        client = await connect(emulator)
        assert [(await client.stop()).status for _ in range(3)] == [500, 500, 500]
        assert (await client.stop(other)).code == "ok"
        emulator.fail_forever = lambda task: task.task_id == "lambda"
        assert (await client.stop(Task("app", "room", "lambda"))).status == 500
        assert (await client.stop()).code == "ok"


async def test_an_outage_answers_503_and_ends(connect: Connect) -> None:
    async with Emulator() as emulator:
        client = await connect(emulator)
        async with emulator.outage():
            assert await meet(client) == (503, "ServiceUnavailable")
        assert await meet(client) == (200, "ok")


async def test_an_outage_can_refuse_connections_and_ends_at_the_same_port(connect: Connect) -> None:
    async with Emulator() as emulator:
        client = await connect(emulator)
        assert await meet(client) == (200, "ok")
        url = emulator.url
        async with emulator.outage(refuse=True):
            met = [await meet(client) for _ in range(20)]
            assert met[1:] == [aiohttp.ClientConnectorError] * 19
        assert emulator.url == url
        assert await meet(client) == (400, GONE)


async def test_the_emulator_can_end_during_an_outage(connect: Connect) -> None:
    async with Emulator() as emulator:
        client = await connect(emulator)
        outage = emulator.outage(refuse=True)
        await outage.__aenter__()
    await outage.__aexit__(None, None, None)
    assert await meet(client) is aiohttp.ClientConnectorError


async def test_the_emulators_clock_can_be_wrong_in_its_checks_and_its_dates(connect: Connect) -> None:
    async with Emulator(clock_offset=3600) as emulator:
        client = await connect(emulator)
        refused = await client.stop()
        server_time = parsedate_to_datetime(refused.headers["Date"]).timestamp()
        assert refused.code == "InvalidTimestamp"
        assert server_time - time.time() == pytest.approx(3600, abs=2)
        assert (await client.stop(ahead=server_time - time.time())).code == "ok"


async def test_with_latency_the_task_is_stopped_before_the_answer(connect: Connect) -> None:
    async with Emulator(faults=Faults(latency_seconds=0.2, jitter_seconds=0.05)) as emulator:
        began = time.monotonic()
        assert await meet(await connect(emulator, timeout=0.1)) is TimeoutError
        assert emulator.stopped == {TASK}
        assert await meet(await connect(emulator)) == (400, GONE)
        assert time.monotonic() - began >= 0.25


@pytest.mark.parametrize("fault", ["hang", "drip", "huge", None])
@pytest.mark.parametrize("tls", [False, True])
async def test_the_emulator_ends_at_once_whatever_its_calls_wait_for(
    connect: Connect, authority: trustme.CA, fault: str | None, *, tls: bool
) -> None:
    faults = Faults({fault: 1.0} if fault else {}, latency_seconds=0 if fault else 60)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    before = asyncio.all_tasks()
    emulator = Emulator(faults=faults, ssl_context=server_context(authority) if tls else None)
    async with emulator:
        client = await connect(emulator, connector=aiohttp.TCPConnector(ssl=trusting))
        calls = [asyncio.create_task(client.stop(Task("app", "room", str(number)))) for number in range(10)]
        async with asyncio.timeout(2):
            while emulator.calls < 10:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        began = time.monotonic()
    assert time.monotonic() - began < QUICKLY
    met = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(error, aiohttp.ClientError | OSError) for error in met)
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == before


async def test_a_call_that_its_client_cancelled_leaves_no_handler(connect: Connect) -> None:
    async with Emulator(faults=Faults({"hang": 1.0})) as emulator:
        before = len(asyncio.all_tasks())
        assert await meet(await connect(emulator, timeout=0.1)) is TimeoutError
        await asyncio.sleep(0.05)
        assert len(asyncio.all_tasks()) == before


async def test_another_process_can_read_the_statistics_and_the_stopped_tasks(connect: Connect) -> None:
    async with Emulator(faults=Faults({"reset": [TASK]})) as emulator:
        client = await connect(emulator)
        await meet(client)
        await client.stop()
        await client.stop()
        stats, tasks = json.loads(await client.get("/stats")), await client.get("/tasks")
    assert stats.pop("rate") > 0
    assert stats == {
        "calls": 3,
        "stopped": 1,
        "worst_second": 3,
        "throttled": 0,
        "queries": 0,
        "by_code": {"ok": 1, GONE: 1},
        "by_fault": {"reset": 1},
    }
    assert tasks == b'{"AppId":"app","RoomId":"room","TaskId":"task-1"}\n'


async def test_the_fixture_is_an_emulator_that_runs(stopcast_sandbox: Emulator, connect: Connect) -> None:
    stopcast_sandbox.faults = Faults({"throttled": [TASK]})
    client = await connect(stopcast_sandbox)
    assert [(await client.stop()).status for _ in range(2)] == [429, 200]


async def test_two_emulators_run_side_by_side_and_a_port_that_is_taken_is_an_error() -> None:
    async with Emulator() as first, Emulator(host="::1") as second:
        assert first.url != second.url
        assert second.url.startswith("http://[::1]:")
        with pytest.raises(OSError, match="in use"):
            await Emulator(port=int(first.url.rpartition(":")[2])).__aenter__()


SANDBOX = "from stopcast.cli.commands.sandbox import sandbox; sandbox()"


@contextmanager
def command(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    with subprocess.Popen(
        [sys.executable, "-c", SANDBOX, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_command_serves_until_a_signal(connect: Connect, number: signal.Signals) -> None:
    with command("--fault", "throttled=100%", "--latency", "1", "--jitter", "1", "--seed", "7") as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        client = await connect(SimpleNamespace(url=url))
        assert (await client.stop()).status == 429
        process.send_signal(number)
        _, err = process.communicate(timeout=5)
    assert process.returncode == 0
    assert err.splitlines() == [
        "export VOLCENGINE_ACCESS_KEY=sandbox",
        "export VOLCENGINE_SECRET_KEY=sandbox-secret",
        f"stopcast run tasks.csv --endpoint {url}",
        "1 calls, 0 tasks stopped, 0 calls over the quota, 1 calls in the worst second, 0.0 calls a second on average",
    ]


async def test_the_command_serves_https(connect: Connect, authority: trustme.CA, tmp_path: Path) -> None:
    issued, trusting = authority.issue_cert("127.0.0.1"), ssl.create_default_context()
    authority.configure_trust(trusting)
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    with command("--tls-cert", str(certificate), "--tls-key", str(key), "--quota", "0") as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        client = await connect(SimpleNamespace(url=url), connector=aiohttp.TCPConnector(ssl=trusting))
        assert url.startswith("https://127.0.0.1:")
        assert (await client.stop()).code == "ok"
        process.terminate()
        _, err = process.communicate(timeout=5)
    assert (process.returncode, f"export SSL_CERT_FILE={certificate}\n" in err) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fault", "nonsense=1%"], "nonsense"),
        (["--quota", "-1"], "--quota"),
        (["--tls-cert", __file__], "need each other"),
        (["--tls-cert", __file__, "--tls-key", __file__], "--tls-cert, --tls-key"),
        (["--port", "{taken}"], "--port: Address already in use"),
    ],
)
def test_the_command_refuses_wrong_arguments_with_a_usage_error(arguments: list[str], words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = str(server.getsockname()[1])
        with command(*(argument.format(taken=taken) for argument in arguments)) as process:
            out, err = process.communicate(timeout=5)
    assert (process.returncode, out, words in err) == (2, "", True)


def test_the_commands_help_names_every_fault_and_imports_no_aiohttp() -> None:
    ending = "import sys; sandbox(standalone_mode=False); sys.exit('aiohttp' in sys.modules)"
    program = SANDBOX.replace("sandbox()", ending)
    helped = subprocess.run(
        [sys.executable, "-c", program, "--help"], capture_output=True, text=True, check=True, timeout=5
    )
    named = set(helped.stdout.replace(",", " ").split())
    assert set(FAULTS) - set(REFUSALS) <= named
