"""The parts in their order; what lies behind a part that failed is not tried."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from stopcast.api.endpoint import Endpoint
from stopcast.credentials.value import Credentials
from stopcast.doctor.calls import look_at_clock, try_application, try_key
from stopcast.doctor.connection import NO_WAY, connect, find_addresses, room_for
from stopcast.doctor.findings import Finding, Patient, State
from stopcast.doctor.key import find_key
from stopcast.errors import StopcastError


async def examine(patient: Patient) -> AsyncIterator[Finding]:
    """Yield what is found, part by part. Never raises for what it meets."""
    finding, credentials = await find_key(patient)
    yield finding
    try:
        endpoint = patient.endpoint(credentials.region if credentials else None)
    except StopcastError as error:
        yield Finding("endpoint", State.FAILED, str(error), "Name it as --endpoint https://HOST, or leave that out")
    else:
        async for finding in _look_at_endpoint(patient, endpoint, credentials):
            yield finding
    yield room_for(patient.report)


async def _look_at_endpoint(
    patient: Patient, endpoint: Endpoint, credentials: Credentials | None
) -> AsyncIterator[Finding]:
    """Yield what is found on the way to the API, and whether it takes the key."""
    yield Finding("endpoint", State.OK, f"{endpoint.host}, signed for region {endpoint.region}")
    address = urlsplit(endpoint.url)
    host, port = address.hostname or "", address.port or (443 if address.scheme == "https" else 80)
    reached = True
    for step in (find_addresses(host, port), connect(host, port, secure=address.scheme == "https")):
        if not reached:
            step.close()
            continue
        try:
            async with asyncio.timeout(patient.timeout_seconds):
                finding = await step
        except TimeoutError:
            words = f"no answer from {host} within {patient.timeout_seconds:g} s"
            finding = Finding("connection", State.FAILED, words, NO_WAY)
        reached = finding.state is not State.FAILED
        yield finding
    if not reached:
        for part in ("clock", "key accepted"):
            yield Finding(part, State.NOT_TRIED, "the API cannot be reached")
        return
    clock, offset = await look_at_clock(patient, endpoint)
    yield clock
    if credentials is None:
        yield Finding("key accepted", State.NOT_TRIED, "there is no key")
        return
    yield await try_key(patient, endpoint, credentials, offset)
    if patient.app_id is not None:
        yield await try_application(patient, endpoint, credentials, offset)
