"""What an answer's headers say: Retry-After in both its forms, and the Date."""

from __future__ import annotations

import time

import pytest

from support.replies import DATE, DATE_AS_UNIX_TIME, read


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("007", 7.0),
        ("1000000000", 1e9),
        ("9" * 5000, 9999999999.0),
        ("Sun, 22 Nov 2026 20:00:30 GMT", 30.0),
        ("Sunday, 22-Nov-26 20:00:30 GMT", 30.0),
        ("Sun Nov 22 20:00:30 2026", 30.0),
        ("Sun, 22 Nov 2026 19:59:30 GMT", 0.0),
        ("-1", None),
        ("1e9", None),
        ("1.5", None),
        ("7s", None),
        ("\u0667", None),
        ("²", None),
        ("soon", None),
        ("", None),
        ("Sun, 99 Nov 2026 20:00:30 GMT", None),
        ("Sun, 22 Nov 99999 20:00:30 GMT", None),
        ("\udcff", None),
    ],
)
def test_retry_after_is_read_in_both_its_forms(value: str, seconds: float | None) -> None:
    assert read(b"", status=503, headers={"Retry-After": value, "Date": DATE}).retry_after == seconds


def test_a_date_in_retry_after_counts_only_beside_the_servers_own_date() -> None:
    assert read(b"", status=503, headers={"Retry-After": DATE}).retry_after is None


@pytest.mark.parametrize("date", ["", "yesterday", "-1", "Sun, 22 Nov 2026 25:00:00 GMT"])
def test_a_malformed_date_counts_as_nothing(date: str) -> None:
    assert read(b"", status=503, headers={"Date": date}).server_time is None


@pytest.mark.parametrize(
    "date", [DATE, "Sun Nov 22 20:00:00 2026", "Sun, 22 Nov 2026 20:00:00", "Sun, 22 Nov 2026 20:00:00 -0000"]
)
def test_a_date_is_gmt_whatever_zone_this_machine_is_in(date: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Shanghai")
        time.tzset()
        reply = read(b"", status=400, headers={"Date": date})
    time.tzset()

    assert reply.server_time == DATE_AS_UNIX_TIME


def test_the_headers_of_an_ok_are_not_read() -> None:
    reply = read(b'{"Result":"ok","ResponseMetadata":{}}', headers={"Date": DATE, "Retry-After": "5"})

    assert (reply.server_time, reply.retry_after) == (None, None)
