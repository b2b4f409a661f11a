"""Which key would be used, and from where. Its secret is never told."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from stopcast.credentials.files import SourceState
from stopcast.credentials.places import CredentialSource
from stopcast.credentials.value import Credentials
from stopcast.doctor.findings import Finding, Patient, State
from stopcast.errors import StopcastError

_SHOWN_OF_A_KEY: Final = 4


def masked(access_key: str) -> str:
    """Return as much of an access key as tells it from another: its two ends, and of a short one its beginning."""
    shown = _SHOWN_OF_A_KEY
    if len(access_key) < 4 * shown:
        return f"{access_key[: shown // 2]}…"
    return f"{access_key[:shown]}…{access_key[-shown:]}"


async def find_key(patient: Patient) -> tuple[Finding, Credentials | None]:
    """Return which key a run would use, None where it would find none that it can use."""
    tried = [it for it in patient.places if it.state in {SourceState.USABLE, SourceState.BROKEN}]
    details = tuple(f"{it.place}: {it.description}{_why_not(it, tried)}" for it in patient.places)
    if not tried:
        advice = "Set VOLCENGINE_ACCESS_KEY and VOLCENGINE_SECRET_KEY, or rehearse with stopcast run --sandbox"
        return Finding("credentials", State.FAILED, "none in any place", advice, details), None
    if tried[0].state is SourceState.BROKEN:
        advice = "Mend or remove them: no further place is tried, as its key might be another account's"
        words = f"those in {tried[0].place} cannot be used"
        return Finding("credentials", State.FAILED, words, advice, details), None
    finding, key = await _key(patient, tried[0])
    return finding._replace(details=details), key


def _why_not(look: CredentialSource, tried: list[CredentialSource]) -> str:
    if look not in tried:
        return ""
    return "; this one is used" if look is tried[0] else "; not used, as an earlier place comes first"


async def _key(patient: Patient, look: CredentialSource) -> tuple[Finding, Credentials | None]:
    given = look.for_stopper
    try:
        async with asyncio.timeout(patient.timeout_seconds):
            key = given if isinstance(given, Credentials) else await given()
    except TimeoutError:
        words = f"no answer from {look.place} within {patient.timeout_seconds:g} s"
        return Finding("credentials", State.FAILED, words, "Try again, or set VOLCENGINE_ACCESS_KEY"), None
    except StopcastError as error:
        return Finding("credentials", State.FAILED, str(error), "Log in there anew, or set VOLCENGINE_ACCESS_KEY"), None
    kind = "temporary key" if key.session_token else "key"
    words = f"{kind} {masked(key.access_key)}, its secret not shown, from {look.place}"
    if key.expires_at is not None:
        words += f"; expires {time.strftime('%Y-%m-%d %H:%M:%SZ', time.gmtime(key.expires_at))}"
    state = State.WARNING if look.warnings else State.OK
    return Finding("credentials", state, words, "; ".join(look.warnings)), key
