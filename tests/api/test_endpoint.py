"""Where a call goes: addresses, hosts, regions and versions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stopcast.api.endpoint import DEFAULT_ENDPOINT, REGIONS, Endpoint
from stopcast.errors import ConfigurationError


@pytest.mark.parametrize(
    ("given_url", "url", "host", "region", "loopback"),
    [
        (DEFAULT_ENDPOINT, "https://rtc.volcengineapi.com", "rtc.volcengineapi.com", "cn-north-1", False),
        ("https://rtc.volcengineapi.com/", "https://rtc.volcengineapi.com", None, "cn-north-1", False),
        ("HTTPS://RTC.VolcEngineAPI.com:443", "https://rtc.volcengineapi.com", None, "cn-north-1", False),
        ("https://open-ap-singapore-1.volcengineapi.com", None, None, "ap-singapore-1", False),
        ("https://open.byteplusapi.com", None, None, "ap-singapore-1", False),
        ("https://proxy.example:8443", None, "proxy.example:8443", "cn-north-1", False),
        # The vendor's signers drop both ports from what they sign, whatever the scheme.
        ("https://proxy.example:80", "https://proxy.example:80", "proxy.example", "cn-north-1", False),
        ("http://127.0.0.1:443", "http://127.0.0.1:443", "127.0.0.1", "cn-north-1", True),
        ("http://127.0.0.1:08080", "http://127.0.0.1:8080", "127.0.0.1:8080", "cn-north-1", True),
        ("http://127.9.9.9", None, "127.9.9.9", "cn-north-1", True),
        ("http://localhost:1", None, "localhost:1", "cn-north-1", True),
        ("http://LOCALHOST", "http://localhost", "localhost", "cn-north-1", True),
        ("https://localhost:65535", None, "localhost:65535", "cn-north-1", True),
        ("http://[::1]:8080", None, "[::1]:8080", "cn-north-1", True),
        ("http://[0:0:0:0:0:0:0:1]", "http://[::1]", "[::1]", "cn-north-1", True),
        ("https://[2001:DB8::1]:443", "https://[2001:db8::1]", "[2001:db8::1]", "cn-north-1", False),
        ("https://10.0.0.1", None, "10.0.0.1", "cn-north-1", False),
        ("https://my_service", None, "my_service", "cn-north-1", False),
    ],
)
def test_an_endpoint_gets_the_host_region_and_query(
    given_url: str, url: str | None, host: str | None, region: str, *, loopback: bool
) -> None:
    query = "Action=StopWebcast&Version=2020-12-01"
    whole = f"{url or given_url}/?{query}"

    assert Endpoint.parse(given_url) == Endpoint(
        url=whole, host=host or whole.split("/")[2], query=query, region=region, loopback=loopback
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "rtc.volcengineapi.com",
        "//rtc.volcengineapi.com",
        "ftp://rtc.volcengineapi.com",
        "https://",
        "https:///",
        "https://:443",
        "https://host/path",
        "https://host//",
        "https://host?",
        "https://host/?Action=StopWebcast",
        "https://host#",
        "https://host:",
        "https://host:0",
        "https://host:65536",
        "https://host:999999",
        "https://host:+80",
        "https://host:8 0",
        "https://host:\u0663",  # a digit, but not one of ours
        " https://host",
        "https://host\n",
        "https://ho\nst",
        "https://ho st",
        "https://host.",
        "https://ho..st",
        "https://-host",
        f"https://{'a' * 64}.example",
        "https://bücher.example",
        "https://\u017fervice",  # a long s is an s where case is ignored
        "https://host\uff0fpath",
        "https://host%41",
        "https://host\\path",
        "https://[::1",
        "https://::1",
        "https://[::1]extra",
        "https://[127.0.0.1]",
        "https://[v1.a]",
        "https://[::1%lo]",
        "https://[::12345]",
        "https://[]",
        "https://\ud800",
    ],
)
def test_a_malformed_endpoint_is_refused_and_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Endpoint.parse(url)

    assert repr(url) in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://rtc.volcengineapi.com",
        "http://10.0.0.1",
        "http://0.0.0.0:8080",
        "http://128.0.0.1",
        "http://127.1",
        "http://2130706433",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://[::2]",
        "http://[::]",
    ],
)
def test_plain_http_is_allowed_to_this_machine_only(url: str) -> None:
    with pytest.raises(ConfigurationError, match="plain http is allowed to loopback only"):
        Endpoint.parse(url)


@pytest.mark.parametrize(
    "url", ["https://user:hunter2@host", "https://hunter2@host", "https://u:hunter2/x@host", "https://host/?k=hunter2@"]
)
def test_a_password_in_an_endpoint_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Endpoint.parse(url)

    assert "hunter2" not in str(refused.value)


@settings(max_examples=2000, deadline=None)
@given(st.text() | st.text("htps:/[].-_0123456789abcdefAZ@%\n", max_size=40).map("https://{}".format))
def test_any_text_is_an_endpoint_that_can_be_called_or_is_refused(url: str) -> None:
    try:
        endpoint = Endpoint.parse(url)
    except ConfigurationError:
        return

    assert endpoint.url.isascii()
    assert endpoint.url.isprintable()
    assert endpoint == Endpoint.parse(endpoint.url.partition("/?")[0])


def test_a_region_that_is_given_overrides_the_hosts() -> None:
    assert Endpoint.parse("https://open.byteplusapi.com", region="ap-southeast-1").region == "ap-southeast-1"
    assert Endpoint.parse("https://open.byteplusapi.com", region="").region == REGIONS["open.byteplusapi.com"]


@pytest.mark.parametrize("region", [" ", "cn-north-1\n", "cn/north", "cn-nörth-1", "a" * 65, "a, b"])
def test_a_malformed_region_is_refused(region: str) -> None:
    with pytest.raises(ConfigurationError, match="region"):
        Endpoint.parse(region=region)


def test_the_version_is_part_of_the_query_and_the_address() -> None:
    endpoint = Endpoint.parse(version="2023-11-01")

    assert endpoint.query == "Action=StopWebcast&Version=2023-11-01"
    assert endpoint.url.endswith(f"/?{endpoint.query}")


@pytest.mark.parametrize("version", ["", "2020", "2020-12-01\n", "2020-12-01&Action=x", "\u0662020-12-01"])
def test_a_version_that_is_not_a_date_is_refused(version: str) -> None:
    with pytest.raises(ConfigurationError, match="API version"):
        Endpoint.parse(version=version)
