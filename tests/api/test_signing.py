"""Our signature is the vendor's, header for header."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from volcenginesdkcore.signv4 import SignerV4

from stopcast.api.actions import GET_WEBCAST_TASK, request_body
from stopcast.api.endpoint import VERSIONS, Endpoint
from stopcast.api.signing import Signer, canonical_query, signature, signing_key
from stopcast.credentials.value import Credentials
from stopcast.ports import Request
from stopcast.tasks.task import Task

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC).timestamp()
BODY = b'{"AppId":"app","RoomId":"room","TaskId":"task"}'
REQUEST = Request(BODY, Endpoint.parse().query)

VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=60)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
IDS = st.text(string.ascii_letters + string.digits + "_@-.", min_size=1, max_size=128)
REGION = st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=20)
TIMES = st.floats(min_value=0, max_value=datetime(9999, 12, 31, tzinfo=UTC).timestamp())
HOSTS = st.sampled_from(
    [
        "https://rtc.volcengineapi.com",
        "https://rtc.volcengineapi.com:443",
        "https://rtc.volcengineapi.com:80",
        "https://open.byteplusapi.com:8443",
        "https://OPEN.byteplusapi.com/",
        "http://127.0.0.1:8080",
        "http://127.0.0.1:80",
        "http://127.0.0.1:443",
        "http://localhost",
        "http://[::1]",
        "http://[::1]:80",
        "https://[::1]:443",
        "http://[::1]:9000",
    ]
)


def vendor_headers(
    headers: dict[str, str],
    *,
    at: float,
    credentials: Credentials,
    region: str,
    body: bytes = b"",
    query: dict[str, str] | None = None,
    method: str = "POST",
    path: str = "/",
) -> dict[str, str]:
    """Sign with the vendor's own signer at a time of our choosing, and return all headers that it would send."""
    clock = SimpleNamespace(datetime=SimpleNamespace(utcnow=lambda: datetime.fromtimestamp(int(at), UTC)))
    signed = dict(headers)
    with patch("volcenginesdkcore.signv4.datetime", clock):
        SignerV4.sign(
            path,
            method,
            signed,
            body.decode(),
            None,
            query or {},
            credentials.access_key,
            credentials.secret_key,
            region,
            "rtc",
            credentials.session_token,
        )
    return signed


def make_signer(credentials: Credentials | None = None) -> Signer:
    endpoint = Endpoint.parse()
    return Signer(
        credentials or Credentials("AKLTexample", "c2VjcmV0"),
        host=endpoint.host,
        region=endpoint.region,
        query=endpoint.query,
    )


@settings(max_examples=400, deadline=None)
@given(
    access_key=VISIBLE,
    secret_key=ANY_TEXT,
    session_token=st.none() | st.just("") | VISIBLE,
    ids=st.tuples(IDS, IDS, IDS),
    at=TIMES,
    url=HOSTS,
    region=st.none() | REGION,
    version=st.sampled_from(VERSIONS) | st.dates().map(str),
)
def test_every_header_equals_the_vendors(
    *,
    access_key: str,
    secret_key: str,
    session_token: str | None,
    ids: tuple[str, str, str],
    at: float,
    url: str,
    region: str | None,
    version: str,
) -> None:
    endpoint = Endpoint.parse(url, region=region, version=version)
    credentials = Credentials(access_key, secret_key, session_token)
    body = request_body(Task(*ids))
    signer = Signer(credentials, host=endpoint.host, region=endpoint.region, query=endpoint.query)

    assert signer.sign(Request(body, endpoint.query), at) == vendor_headers(
        {"Content-Type": "application/json", "Host": endpoint.host},
        at=at,
        credentials=credentials,
        region=endpoint.region,
        body=body,
        query={"Action": "StopWebcast", "Version": version},
    )


@pytest.mark.parametrize(
    ("url", "netloc"),
    [
        ("https://rtc.volcengineapi.com:443", "rtc.volcengineapi.com:443"),
        ("https://rtc.volcengineapi.com:80", "rtc.volcengineapi.com:80"),
        ("https://rtc.volcengineapi.com:8443", "rtc.volcengineapi.com:8443"),
        ("http://127.0.0.1:80", "127.0.0.1:80"),
        ("http://127.0.0.1:443", "127.0.0.1:443"),
        ("http://localhost:8080", "localhost:8080"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_the_endpoint_omits_the_ports_that_the_vendors_signer_omits(url: str, netloc: str) -> None:
    endpoint = Endpoint.parse(url)
    credentials = Credentials("AKLTexample", "c2VjcmV0")
    signer = Signer(credentials, host=endpoint.host, region=endpoint.region, query=endpoint.query)
    vendors = vendor_headers(
        {"Content-Type": "application/json", "Host": netloc},
        at=NOON,
        credentials=credentials,
        region=endpoint.region,
        body=BODY,
        query={"Action": "StopWebcast", "Version": "2020-12-01"},
    )

    assert signer.sign(REQUEST, NOON)["Authorization"] == vendors["Authorization"]


@settings(max_examples=300, deadline=None)
@given(
    secret_key=ANY_TEXT,
    at=TIMES,
    region=REGION,
    method=st.sampled_from(["GET", "POST", "PUT"]),
    path=st.just("/") | IDS.map("/{}".format),
    query=st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=6),
    extra=st.dictionaries(st.from_regex(r"X-[A-Z][a-z]{1,8}", fullmatch=True), VISIBLE, max_size=4),
    body=ANY_TEXT,
)
@example(
    secret_key="s",
    at=0.0,
    region="r",
    method="GET",
    path="/",
    # Sorted before they are encoded, or as whole pairs, these would stand in another order.
    query={"a": "1", "a-": "2", "A/": "3", "A-": "4", "ä": "5", "~": "6 +&="},
    extra={},
    body="",
)
def test_the_general_signature_equals_the_vendors(
    *,
    secret_key: str,
    at: float,
    region: str,
    method: str,
    path: str,
    query: dict[str, str],
    extra: dict[str, str],
    body: str,
) -> None:
    # Names of its own that the signer would write over.
    extra = {name: value for name, value in extra.items() if name not in {"X-Date", "X-Content-Sha256"}}
    headers = vendor_headers(
        {"Content-Type": "application/json", "Host": "rtc.volcengineapi.com", **extra},
        at=at,
        credentials=Credentials("ak", secret_key),
        region=region,
        body=body.encode(),
        query=query,
        method=method,
        path=path,
    )
    vendors = headers.pop("Authorization").rpartition("Signature=")[2]
    day = headers["X-Date"][:8]

    assert vendors == signature(
        key=signing_key(secret_key, day, region),
        method=method,
        path=path,
        query=canonical_query(query),
        headers={name.lower(): value for name, value in headers.items()},
        scope=f"{day}/{region}/rtc/request",
        body_sha256=headers["X-Content-Sha256"],
    )


GOLDEN = {
    "Content-Type": "application/json",
    "Host": "rtc.volcengineapi.com",
    "X-Security-Token": "STSexample==",
    "X-Content-Sha256": "8883f56ad96ca0bed4e5aff3baff02078fb2a6144cc953da5a7f2151904bc29c",
    "X-Date": "20261122T120000Z",
    "Authorization": (
        "HMAC-SHA256 Credential=AKLTexample/20261122/cn-north-1/rtc/request, "
        "SignedHeaders=content-type;host;x-content-sha256;x-date;x-security-token, "
        "Signature=32c03831c3ee7bde79b074c8b018d4881c88d5669d00fcd7c537ecd0743aa156"
    ),
}


def test_a_stored_example_equals_what_the_vendors_signer_made() -> None:
    credentials = Credentials("AKLTexample", "c2VjcmV0", "STSexample==")

    assert make_signer(credentials).sign(REQUEST, NOON + 0.9) == GOLDEN


def test_a_new_second_has_a_new_date_and_a_new_signature() -> None:
    signer = make_signer()
    first, same, later = (signer.sign(REQUEST, NOON + seconds) for seconds in (0, 0.999, 1))

    assert first == same
    assert later["X-Date"] == "20261122T120001Z"
    assert later["Authorization"] != first["Authorization"]


@pytest.mark.parametrize("days", [[22, 23], [23, 22], [22, 23, 22]], ids=["forth", "back", "forth and back"])
def test_a_new_utc_day_has_a_new_key_in_either_direction(days: list[int]) -> None:
    signer = make_signer()
    for day in days:
        at = datetime(2026, 11, day, 23, 59, 59, tzinfo=UTC).timestamp()
        headers = signer.sign(REQUEST, at)

        assert f"/202611{day}/cn-north-1/rtc/request" in headers["Authorization"]
        assert headers == make_signer().sign(REQUEST, at)


def test_the_day_changes_at_midnight_utc() -> None:
    signer = make_signer()
    midnight = datetime(2026, 11, 23, tzinfo=UTC).timestamp()

    assert "/20261122/" in signer.sign(REQUEST, midnight - 0.001)["Authorization"]
    assert "/20261123/" in signer.sign(REQUEST, midnight)["Authorization"]


def test_a_request_with_another_query_is_signed_as_by_a_signer_for_that_query() -> None:
    credentials, endpoint = Credentials("AKLTexample", "c2VjcmV0"), Endpoint.parse()
    request = GET_WEBCAST_TASK.request(Task("app", "r@m", "task"), endpoint.of("GetWebCastTask").query)
    other = Signer(credentials, host=endpoint.host, region=endpoint.region, query=request.query)

    assert make_signer(credentials).sign(request, NOON) == other.sign(request, NOON)


def test_the_caller_may_change_the_returned_headers() -> None:
    signer = make_signer()
    first = signer.sign(REQUEST, NOON)
    kept = dict(first)
    first.clear()

    assert signer.sign(REQUEST, NOON) == kept


def test_no_repr_shows_a_secret() -> None:
    credentials = Credentials("AKLTexample", "c2VjcmV0", "STSexample==")
    shown = f"{credentials!r} {credentials} {make_signer(credentials)!r} {[credentials]}"

    assert "AKLTexample" in shown
    assert "c2VjcmV0" not in shown
    assert "STSexample" not in shown


def test_no_header_holds_the_secret_key() -> None:
    headers = make_signer(Credentials("AKLTexample", "c2VjcmV0")).sign(REQUEST, NOON)

    assert "c2VjcmV0" not in repr(headers)
