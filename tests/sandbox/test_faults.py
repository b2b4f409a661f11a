"""Faults, outages and wrong clocks of the emulator."""

from __future__ import annotations

import gzip
import ssl
import time
from email.utils import parsedate_to_datetime

import aiohttp
import pytest
import trustme

from stopcast.errors import ConfigurationError
from stopcast.sandbox import Emulator, Faults
from stopcast.sandbox.answers import REFUSALS
from stopcast.sandbox.faults import FAULTS
from stopcast.tasks.task import Task
from support.signed_client import GONE, TASK, Connect, meet, server_context

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


@pytest.mark.parametrize(("fault", "met", "stopped"), FAULT_TABLE)
async def test_a_fault_hits_its_task_once_and_the_next_answer_is_true(
    connect: Connect, fault: str, met: object, *, stopped: bool
) -> None:
    async with Emulator(faults=Faults({fault: [TASK]})) as emulator:
        client = await connect(emulator)
        assert await meet(await connect(emulator, timeout=1) if met is TimeoutError else client) == met
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
        timeout = 1 if fault in {"hang", "drip"} else 5
        client = await connect(emulator, timeout=timeout, connector=aiohttp.TCPConnector(ssl=trusting))
        first = await meet(client)
        assert first == (200, None) if fault == "huge" else isinstance(first, type)
        patient = await connect(emulator, connector=aiohttp.TCPConnector(ssl=trusting))
        assert await meet(patient) in {(200, "ok"), (400, GONE)}


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
