"""The way to the endpoint: through a proxy, by other authorities, and over a connector of the caller."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import trustme

from stopcast import (
    ConfigurationError,
    EndpointError,
    Limiter,
    Outcome,
    RetryPolicy,
    Router,
    Status,
    Stopper,
    Task,
    Unlimited,
)
from stopcast.api.network import Proxy
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator
from support.connect_proxy import ConnectProxy, connect_proxy
from support.loops import on_both_loops, run_on
from support.processes import tasks
from support.streams import QUICK, counted, eventually, everything

TASK = Task("app", "room", "task")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@asynccontextmanager
async def secure_emulator(authority: trustme.CA) -> AsyncIterator[Emulator]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", "localhost", "rtc.example").configure_cert(context)
    async with Emulator(ssl_context=context, quota_per_second=None) as emulator:
        yield emulator


def stopper_through(proxy: ConnectProxy | str, emulator: Emulator, authority: trustme.CA, **settings: Any) -> Stopper:
    url = proxy if isinstance(proxy, str) else proxy.url
    settings = {"limiter": Unlimited(), "retry": QUICK, "ssl": trusting(authority), **settings}
    return Stopper(SANDBOX_CREDENTIALS, endpoint=emulator.url, proxy=url, **settings)


@on_both_loops
def test_calls_go_through_the_proxy_s_tunnels_which_are_used_again_and_see_no_plain_text(
    loop: str, authority: trustme.CA
) -> None:
    async def main() -> None:
        async with (
            secure_emulator(authority) as emulator,
            connect_proxy() as proxy,
            stopper_through(proxy, emulator, authority, max_at_once=4) as stopper,
        ):
            outcomes = await everything(stopper, tasks(60))
            assert counted(outcomes) == {Status.STOPPED: 60}
            assert 1 <= proxy.opened <= 4
            assert {head.split()[:2][1] for head in proxy.requests} == {emulator.url.removeprefix("https://")}
            assert b"AppId" not in proxy.seen
            assert b"Authorization" not in proxy.seen

    run_on(loop, main())


class CountingLimiter(Limiter):
    """Records how many tunnels were open when each permit was asked for."""

    def __init__(self, proxy: ConnectProxy) -> None:
        self._proxy = proxy
        self.opened: list[int] = []

    async def acquire(self) -> None:
        self.opened.append(self._proxy.opened)

    def hold(self, seconds: float = 0.0) -> None:
        pass


async def test_no_permit_is_asked_for_before_the_tunnel_is_open(authority: trustme.CA) -> None:
    async with secure_emulator(authority) as emulator, connect_proxy() as proxy:
        limiter = CountingLimiter(proxy)
        proxy.wait.clear()
        async with stopper_through(proxy, emulator, authority, limiter=limiter, max_at_once=5) as stopper:
            stopping = asyncio.create_task(everything(stopper, tasks(5)))
            await eventually(lambda: proxy.requests)
            assert limiter.opened == []
            assert stopper.meter.calls == 0
            proxy.wait.set()
            assert counted(await stopping) == {Status.STOPPED: 5}
        assert all(opened >= 1 for opened in limiter.opened)
        assert len(limiter.opened) == stopper.meter.calls == 5


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "407"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "403"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "502"),
        (b"nonsense\r\n\r\n", "nonsense"),
    ],
)
async def test_a_call_that_the_proxy_refuses_was_not_sent(authority: trustme.CA, answer: bytes, shown: str) -> None:
    policy = RetryPolicy(max_attempts=2, first_wait_seconds=0.001)
    async with secure_emulator(authority) as emulator, connect_proxy() as proxy:
        proxy.answer = answer
        async with stopper_through(proxy, emulator, authority, retry=policy) as stopper:
            outcome = await stopper.stop(TASK)
    assert (outcome.status, outcome.in_doubt, emulator.calls) == (Status.GAVE_UP, False, 0)
    assert shown in (outcome.message or "")


async def test_a_proxy_that_is_not_there_leaves_calls_unsent(authority: trustme.CA) -> None:
    policy = RetryPolicy(max_attempts=2, first_wait_seconds=0.001)
    async with connect_proxy() as gone:
        pass
    async with secure_emulator(authority) as emulator, stopper_through(gone, emulator, authority, retry=policy) as it:
        outcome = await it.stop(TASK)
    assert (outcome.status, outcome.in_doubt) == (Status.GAVE_UP, False)


async def test_a_user_and_password_go_to_the_proxy_and_into_no_message(authority: trustme.CA) -> None:
    policy = RetryPolicy(max_attempts=1)
    async with secure_emulator(authority) as emulator, connect_proxy() as proxy:
        url = proxy.url.replace("://", "://user:s3cr3t%40@")
        async with stopper_through(url, emulator, authority) as stopper:
            assert (await stopper.stop(TASK)).good
            assert "s3cr3t" not in repr(vars(stopper))
        assert "Proxy-Authorization: Basic dXNlcjpzM2NyM3RA" in proxy.requests[0]
        proxy.answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
        async with stopper_through(url, emulator, authority, retry=policy) as stopper:
            outcome = await stopper.stop(TASK)
    assert "s3cr3t" not in repr(outcome)
    assert Proxy.parse(url).shown == proxy.url.replace("://", "://***@")


async def test_proxies_of_the_environment_are_not_obeyed(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with secure_emulator(authority) as emulator, connect_proxy() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with Stopper(SANDBOX_CREDENTIALS, endpoint=emulator.url, ssl=trusting(authority)) as stopper:
            assert (await stopper.stop(TASK)).good
    assert proxy.requests == []


async def test_a_router_s_stoppers_have_each_their_own_way(authority: trustme.CA) -> None:
    async with secure_emulator(authority) as emulator, connect_proxy() as proxy:
        direct = Stopper(SANDBOX_CREDENTIALS, endpoint=emulator.url, ssl=trusting(authority))
        stoppers = {"a": stopper_through(proxy, emulator, authority), "b": direct}
        async with Router(stoppers, {"a*": "a", "b*": "b"}) as router:
            assert (await router.stop(Task("b", "room", "task"))).good
            assert proxy.opened == 0
            assert (await router.stop(Task("a", "room", "task"))).good
            assert proxy.opened == 1


async def test_an_endpoint_whose_authority_is_not_trusted_ends_the_calls(authority: trustme.CA) -> None:
    async with secure_emulator(authority) as emulator, connect_proxy() as proxy:
        for way in (None, proxy.url):
            async with Stopper(SANDBOX_CREDENTIALS, endpoint=emulator.url, proxy=way) as stopper:
                with pytest.raises(EndpointError):
                    await stopper.stop(TASK)
    assert emulator.calls == 0


class FixedResolver(aiohttp.abc.AbstractResolver):
    """Resolves every name to loopback."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[Any]:  # noqa: ARG002 - aiohttp's
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        pass


@on_both_loops
def test_a_connector_of_the_caller_makes_the_connections_behind_the_same_gate(loop: str, authority: trustme.CA) -> None:
    async def main() -> list[Outcome]:
        made: list[aiohttp.TCPConnector] = []

        def connector() -> aiohttp.TCPConnector:
            made.append(aiohttp.TCPConnector(resolver=FixedResolver(), limit=0))
            return made[-1]

        async with secure_emulator(authority) as emulator:
            endpoint = emulator.url.replace("127.0.0.1", "rtc.example")
            stopper = Stopper(
                SANDBOX_CREDENTIALS, endpoint=endpoint, connector=connector, ssl=trusting(authority), max_at_once=4
            )
            async with stopper:
                outcomes = await everything(stopper, tasks(20))
            assert stopper.meter.calls == emulator.calls == 20
        assert len(made) == 1
        assert made[0].closed
        return outcomes

    assert counted(run_on(loop, main())) == {Status.STOPPED: 20}


@pytest.mark.parametrize("connector", [object, lambda: aiohttp.TCPConnector(limit=100)])
async def test_a_connector_that_cannot_be_used_is_refused_with_words(connector: Any) -> None:
    stopper = Stopper(SANDBOX_CREDENTIALS, endpoint="http://127.0.0.1:1", connector=connector)
    with pytest.raises(ConfigurationError, match="connector"):
        await stopper.__aenter__()


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://proxy", "http://proxy:80"),
        ("http://proxy:3128/", "http://proxy:3128"),
        ("HTTP://Proxy.Example:3128", "http://proxy.example:3128"),
        ("http://[::1]:3128", "http://[::1]:3128"),
        ("http://user@proxy:3128", "http://proxy:3128"),
    ],
)
def test_a_proxy_s_address_is_read(text: str, url: str) -> None:
    assert Proxy.parse(text).url == url
