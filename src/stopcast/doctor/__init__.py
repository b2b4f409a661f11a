"""Checks whether a run would work from here: key, connection to the API, clock, rights, room for the report.

Nothing is stopped: the only call of StopWebcast has ids that no task can have. No secret is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from stopcast.api.endpoint import Endpoint
from stopcast.credentials.value import Credentials
from stopcast.doctor.connection import CHECK_NETWORK, check_report, connect, find_addresses
from stopcast.doctor.findings import Checkup, Finding, FindingState
from stopcast.doctor.key import check_application, check_clock, check_key, find_key
from stopcast.errors import StopcastError

__all__ = ["Checkup", "Finding", "FindingState", "examine"]


async def examine(checkup: Checkup) -> AsyncIterator[Finding]:
    """Yield the findings in order. What depends on a check that failed is not tried. No finding is raised."""
    finding, credentials = await find_key(checkup)
    yield finding
    try:
        endpoint = checkup.endpoint(credentials.region if credentials else None)
    except StopcastError as error:
        yield Finding("endpoint", FindingState.FAILED, str(error), "Set --endpoint https://HOST, or leave it out")
    else:
        async for finding in _examine_endpoint(checkup, endpoint, credentials):
            yield finding
    yield check_report(checkup.report)


async def _examine_endpoint(
    checkup: Checkup, endpoint: Endpoint, credentials: Credentials | None
) -> AsyncIterator[Finding]:
    yield Finding("endpoint", FindingState.OK, f"{endpoint.host}, signed for region {endpoint.region}")
    address = urlsplit(endpoint.url)
    host, port = address.hostname or "", address.port or (443 if address.scheme == "https" else 80)
    reached = True
    for step in (find_addresses(host, port), connect(host, port, secure=address.scheme == "https")):
        if not reached:
            step.close()
            continue
        try:
            async with asyncio.timeout(checkup.timeout_seconds):
                finding = await step
        except TimeoutError:
            words = f"no answer from {host} within {checkup.timeout_seconds:g} s"
            finding = Finding("connection", FindingState.FAILED, words, CHECK_NETWORK)
        reached = finding.state is not FindingState.FAILED
        yield finding
    if not reached:
        for part in ("clock", "key accepted"):
            yield Finding(part, FindingState.NOT_TRIED, "the API cannot be reached")
        return
    clock, offset = await check_clock(checkup, endpoint)
    yield clock
    if credentials is None:
        yield Finding("key accepted", FindingState.NOT_TRIED, "there is no key")
        return
    yield await check_key(checkup, endpoint, credentials, offset)
    if checkup.app_id is not None:
        yield await check_application(checkup, endpoint, credentials, offset)
