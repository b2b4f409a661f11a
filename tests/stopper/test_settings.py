"""Settings that make no sense are refused when they are given, and a Stopper that is used wrongly says so."""

from __future__ import annotations

import ssl
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from stopcast import (
    ConfigurationError,
    Credentials,
    HaltAfter,
    RetryPolicy,
    Router,
    Stopper,
    Task,
    TokenBucket,
    Unlimited,
    Verifier,
)
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator
from support.streams import stopper_at
from support.virtual import Api, stopped

NAN, INFINITE = float("nan"), float("inf")


async def never_awaited(_: object) -> None: ...


@pytest.mark.parametrize("endpoint", [None, "https://open.byteplusapi.com", "https://example.com"])
def test_a_rate_above_the_quota_needs_a_limiter(endpoint: str | None) -> None:
    with pytest.raises(ConfigurationError, match="quota"):
        Stopper(SANDBOX_CREDENTIALS, max_per_second=150.5, endpoint=endpoint)
    assert Stopper(SANDBOX_CREDENTIALS, limiter=TokenBucket(300), endpoint=endpoint).limiter
    assert Stopper(SANDBOX_CREDENTIALS, max_per_second=5000, endpoint="http://127.0.0.1:1").limiter


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("max_per_second", [0, -1, NAN, INFINITE, "150", True]),
        ("max_at_once", [0, -1, 1.5, NAN, "8", True]),
        ("max_waiting", [-1, 0.5, None, "8"]),
        ("timeout_seconds", [0, -1, NAN, INFINITE, "15", None]),
        ("drain_seconds", [-5, NAN, INFINITE, "15", None, True]),
        ("retry_key_after_seconds", [0, -1, NAN, INFINITE, "15"]),
        ("endpoint", ["http://example.com", "ftp://127.0.0.1", 7]),
        ("credentials", [("a", "b"), "key", {"access_key": "a"}, Credentials]),
        ("limiter", [150, "150", object(), TokenBucket]),
        ("transport", [7, "http", object(), print]),
        ("retry", [3, "no", {"max_attempts": 3}]),
        ("halt_after", [3, "5%"]),
        ("deduplicate", ["no", 0]),
        ("observers", [print, 7, ["print"], [None], [never_awaited], [partial(never_awaited)]]),
        ("proxy", ["proxy:3128", "socks5://proxy", "https://proxy", "http://", "http://proxy/path", 7, "http://p:x"]),
        ("ssl", [True, False, ssl._create_unverified_context()]),
        ("connector", [7, "tcp"]),
    ],
)
def test_a_setting_that_makes_no_sense_is_a_configuration_error_which_names_it(name: str, values: list[Any]) -> None:
    for value in values:
        settings: dict[str, Any] = {"credentials": SANDBOX_CREDENTIALS, name: value}
        with pytest.raises(ConfigurationError, match=name):
            Stopper(**settings)


def test_two_caps_or_two_ways_to_the_api_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="max_per_second and limiter"):
        Stopper(SANDBOX_CREDENTIALS, max_per_second=10, limiter=Unlimited())
    with pytest.raises(ConfigurationError, match="transport does not go with proxy"):
        Stopper(SANDBOX_CREDENTIALS, transport=Api(stopped), proxy="http://proxy:3128")


@pytest.mark.parametrize(
    "given",
    [
        {"access_key": ""},
        {"access_key": None},
        {"access_key": '"key"'},
        {"access_key": "<key>"},
        {"secret_key": "secret\n"},
        {"secret_key": "ключ"},
        {"secret_key": b"secret"},
        {"session_token": "to ken"},
        {"session_token": 7},
        {"region": "cn north"},
        {"expires_at": "2026-11-27"},
    ],
)
def test_credentials_that_cannot_be_sent_are_refused_by_the_name_of_the_value_which_is_not_shown(
    given: dict[str, Any],
) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(given))) as refused:
        Stopper(Credentials(**{"access_key": "key", "secret_key": "secret", **given}))
    assert not any(value and str(value) in str(refused.value) for value in given.values())


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("max_per_second", [0, -1, NAN, INFINITE, "150", None, True, 10**400, Decimal(150)]),
        ("arrival_jitter", [-1, -0.001, 61, NAN, INFINITE, "0.1", None, True]),
    ],
)
def test_a_bucket_that_would_not_keep_its_cap_is_refused(name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(ConfigurationError, match=name):
            TokenBucket(**{name: value})


@pytest.mark.parametrize("rate", [NAN, "5", None, True, Decimal(5)])
def test_a_rate_that_is_no_number_is_refused(rate: Any) -> None:
    with pytest.raises(ConfigurationError):
        TokenBucket(150).limit_to(rate)


@pytest.mark.parametrize(
    "settings",
    [
        {"max_attempts": 0},
        {"max_attempts": 1.5},
        {"max_attempts": "3"},
        {"first_wait_seconds": -1},
        {"first_wait_seconds": NAN},
        {"longest_wait_seconds": -0.1},
        {"longest_retry_after_seconds": INFINITE},
        {"give_up_after_seconds": -1},
        {"give_up_after_seconds": "10"},
    ],
)
def test_a_retry_policy_that_makes_no_sense_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        RetryPolicy(**settings)


@pytest.mark.parametrize(
    "settings", [{"tasks": 0}, {"tasks": 1.5}, {"share": 0}, {"share": NAN}, {"share": 2}, {"sample": 0}]
)
def test_a_halt_that_makes_no_sense_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        HaltAfter(**settings)


@pytest.mark.parametrize(
    ("stoppers", "settings"),
    [
        ({}, {}),
        ({"a": "key"}, {}),
        ({"a": Stopper(SANDBOX_CREDENTIALS), "b": Verifier(SANDBOX_CREDENTIALS)}, {}),
        ({"a": Stopper(SANDBOX_CREDENTIALS)}, {"max_backlog": 0}),
        ({"a": Stopper(SANDBOX_CREDENTIALS)}, {"observers": [7]}),
    ],
)
def test_a_router_that_makes_no_sense_is_refused(stoppers: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Router(stoppers, {}, **settings)


def test_a_password_of_a_proxy_is_in_no_message() -> None:
    for url in ("http://user:s3cr3t@proxy/path", "socks5://user:s3cr3t@proxy", "http://user:s3cr3t@proxy:x"):
        with pytest.raises(ConfigurationError) as caught:
            Stopper(SANDBOX_CREDENTIALS, proxy=url)
        assert "s3cr3t" not in str(caught.value)


def test_a_proxy_on_another_machine_does_not_get_plain_http_to_read() -> None:
    with pytest.raises(ConfigurationError, match="plain http"):
        Stopper(SANDBOX_CREDENTIALS, endpoint="http://127.0.0.1", proxy="http://proxy:3128")


@pytest.mark.parametrize("priority", [None, "high", float("nan"), [1], 1j, 10**400])
@pytest.mark.parametrize("routed", [False, True])
async def test_a_priority_that_cannot_be_compared_is_refused(api: Emulator, priority: Any, *, routed: bool) -> None:
    stopper = stopper_at(api)
    async with Router({"a": stopper}, {"*": "a"}) if routed else stopper as calls:
        with pytest.raises(ConfigurationError, match="priority"):
            await calls.stop(Task("app", "room", "task"), priority=priority)
        with pytest.raises(ConfigurationError, match="priority"):
            calls.stop_all([Task("app", "room", "task")], priority=priority)
        assert (await calls.stop(Task("app", "room", "task"), priority=True)).good
