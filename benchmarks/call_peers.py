"""The clients that ``call_cost.py`` measures stopcast beside: bare loops, the same libraries, the vendor's SDKs."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from call_place import CREDENTIALS, TASK, Job, Place, check, in_workers


def bare_aiohttp(place: Place) -> Job:
    import aiohttp
    from aiolimiter import AsyncLimiter

    url, body, headers = place.request()

    async def run() -> None:
        async with aiohttp.ClientSession() as session:

            async def call() -> None:
                async with session.post(url, data=body, headers=headers) as response:
                    await response.read()

            if place.per_second is None:
                await in_workers(place, call)
                return
            # The same bucket as stopcast's, without its other parts.
            limiter = AsyncLimiter(1.5, 1.5 / (0.993 * place.per_second))

            async def call_in_pace() -> None:
                async with limiter:
                    await call()

            await in_workers(place, call_in_pace)

    return run


def bare_httpx(place: Place) -> Job:
    import httpx

    url, body, headers = place.request()

    async def run() -> None:
        # As its users make it: a limit of their own on the connections made it three times slower.
        async with httpx.AsyncClient() as client:
            await in_workers(place, partial(client.post, url, content=body, headers=headers))

    return run


def plain_composition(place: Place) -> Job:
    import aiohttp
    import orjson
    from aiolimiter import AsyncLimiter
    from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential
    from volcengine.auth.SignerV4 import SignerV4
    from volcengine.base.Request import Request
    from volcengine.Credentials import Credentials as VendorCredentials

    vendor_credentials = VendorCredentials(CREDENTIALS.access_key, CREDENTIALS.secret_key, "rtc", "cn-north-1")
    limiter = AsyncLimiter(1e9, 1)
    query = {"Action": "StopWebcast", "Version": "2020-12-01"}

    class ThrottledError(Exception):
        pass

    def signed(body: bytes) -> dict[str, str]:
        request = Request()
        request.set_method("POST")
        request.set_path("/")
        request.set_query(query)
        request.set_headers({"Host": place.endpoint.host, "Content-Type": "application/json"})
        request.set_body(body)
        SignerV4.sign(request, vendor_credentials)
        headers: dict[str, str] = request.headers
        return headers

    @retry(
        retry=retry_if_exception_type((aiohttp.ClientError, TimeoutError, ThrottledError)),
        stop=stop_after_attempt(5),
        wait=wait_random_exponential(max=30),
        reraise=True,
    )
    async def stop(session: aiohttp.ClientSession, row: dict[str, str]) -> dict[str, Any]:
        body = orjson.dumps(row)
        async with limiter, session.post(place.endpoint.url, data=body, headers=signed(body)) as response:
            answer: dict[str, Any] = orjson.loads(await response.read())
            if response.status == 429:
                raise ThrottledError
            return answer

    async def run() -> None:
        good = 0
        with place.tasks.open(newline="") as tasks, place.report.open("wb") as report:
            rows = csv.DictReader(tasks)
            async with aiohttp.ClientSession() as session:

                async def work() -> None:
                    nonlocal good
                    for row in rows:
                        answer = await stop(session, row)
                        status = "stopped" if answer.get("Result") == "ok" else "failed"
                        good += status == "stopped"
                        report.write(orjson.dumps({**row, "status": status, "answer": answer}) + b"\n")
                        report.flush()

                await asyncio.gather(*(work() for _ in range(place.at_once)))
        check(place, good)

    return run


def in_threads(place: Place, make_call: Callable[[], Callable[[], object]]) -> Job:
    """Make the calls in threads; ``make_call`` is called once in each thread."""

    def work(calls: int) -> None:
        call = make_call()
        for _ in range(calls):
            call()

    async def run() -> None:
        share = -(-place.calls // place.threads)
        with ThreadPoolExecutor(place.threads) as pool:
            list(pool.map(work, [min(share, place.calls - start) for start in range(0, place.calls, share)]))

    return run


def vendor_old(place: Place) -> Job:
    from volcengine.ApiInfo import ApiInfo
    from volcengine.base.Service import Service
    from volcengine.Credentials import Credentials as VendorCredentials
    from volcengine.ServiceInfo import ServiceInfo

    def make_call() -> Callable[[], object]:
        credentials = VendorCredentials(CREDENTIALS.access_key, CREDENTIALS.secret_key, "rtc", "cn-north-1")
        info = ServiceInfo(place.endpoint.host, {"Accept": "application/json"}, credentials, 5, 5)
        query = {"Action": "StopWebcast", "Version": "2020-12-01"}
        # One service for each thread: its session is not safe to share.
        service = Service(info, {"StopWebcast": ApiInfo("POST", "/", query, {}, {})})
        service.set_ak(CREDENTIALS.access_key)
        service.set_sk(CREDENTIALS.secret_key)
        return lambda: service.json("StopWebcast", {}, json.dumps(_parameters()))

    return in_threads(place, make_call)


def vendor_new(place: Place) -> Job:
    import volcenginesdkcore

    configuration = volcenginesdkcore.Configuration()
    configuration.ak, configuration.sk = CREDENTIALS.access_key, CREDENTIALS.secret_key
    configuration.region, configuration.host, configuration.scheme = "cn-north-1", place.endpoint.host, "http"
    # Its default pool, five for each core, is too small for the threads, and it logs warnings about that.
    configuration.connection_pool_maxsize = place.at_once
    api = volcenginesdkcore.UniversalApi(volcenginesdkcore.ApiClient(configuration))
    info = volcenginesdkcore.UniversalInfo(
        method="POST", service="rtc", version="2020-12-01", action="StopWebcast", content_type="application/json"
    )
    return in_threads(place, lambda: lambda: api.do_call(info, _parameters()))


def _parameters() -> dict[str, str]:
    return dict(zip(("AppId", "RoomId", "TaskId"), TASK, strict=True))
