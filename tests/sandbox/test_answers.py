"""What the emulator answers to a call: the vendor's checks, its refusals and its quota."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from volcenginesdkcore.signv4 import SignerV4

from stopcast.api.actions import request_body
from stopcast.api.endpoint import Endpoint
from stopcast.api.signing import Signer
from stopcast.credentials.value import Credentials
from stopcast.errors import ConfigurationError
from stopcast.ports import Request
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator
from stopcast.tasks.task import Task
from support.signed_client import GONE, TASK, Connect


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
