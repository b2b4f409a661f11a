"""Checks of the key: which one a run would use, and whether the API accepts it. Nothing that can exist is stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from stopcast.api.actions import GET_WEBCAST_TASK, STOP_WEBCAST, Action
from stopcast.api.answers import Reply
from stopcast.api.endpoint import Endpoint
from stopcast.api.meanings import explanation_of
from stopcast.api.signing import SIGNATURE_LIFETIME, Signer
from stopcast.api.transport import AiohttpTransport
from stopcast.api.verdict import Verdict, judge
from stopcast.credentials.files import SourceState
from stopcast.credentials.places import CredentialSource
from stopcast.credentials.value import Credentials
from stopcast.doctor.findings import Checkup, Finding, FindingState
from stopcast.errors import StopcastError
from stopcast.ports import OpenGate, TransportError
from stopcast.tasks.task import Task

#: No id can contain a space, so no task can have these ids.
IMPOSSIBLE_TASK: Final = Task("no app", "no room", "no task")
#: Ids that a task could have. The doctor only asks about it.
_ASKED_ABOUT: Final = Task("stopcast-doctor", "stopcast-doctor", "stopcast-doctor")
#: A clock that is off by less is no warning: the API's Date has whole seconds, and a run corrects the rest.
_CLOCK_TOLERANCE_SECONDS: Final = 30.0
_SHOWN_OF_A_KEY: Final = 4
_SET_CLOCK: Final = "Set this machine's clock: timedatectl set-ntp true"
#: Not the advice of ``api.meanings``, which sends the user to the doctor.
_ADVICE: Final[Mapping[Verdict, str]] = {
    Verdict.ACCOUNT: "Check in the console that this access key is active, that its secret is the one set here, and "
    "that it has the right to this action. Check the region too (--region)",
    Verdict.UNKNOWN_ACCOUNT: "Look the code up in the vendor's documentation, then check the access key, its secret, "
    "its rights and the region (--region)",
    Verdict.APPLICATION: "Check the AppId in the console, and that the key belongs to its account",
    Verdict.CLOCK: _SET_CLOCK,
    Verdict.TRANSIENT: "Try again in a moment. If it persists, check --endpoint and the proxies on the way",
}


async def find_key(checkup: Checkup) -> tuple[Finding, Credentials | None]:
    """Check which key a run would use, and return it; None if a run could use none."""
    candidates = [source for source in checkup.places if source.state in {SourceState.USABLE, SourceState.BROKEN}]
    details = tuple(f"{source.place}: {source.description}{_choice(source, candidates)}" for source in checkup.places)
    if not candidates:
        advice = "Set VOLCENGINE_ACCESS_KEY and VOLCENGINE_SECRET_KEY, or rehearse with stopcast run --sandbox"
        return Finding("credentials", FindingState.FAILED, "none in any place", advice, details), None
    if candidates[0].state is SourceState.BROKEN:
        words = f"those in {candidates[0].place} cannot be used"
        advice = "Fix or remove them. Later places are not tried, because their key might be another account's"
        return Finding("credentials", FindingState.FAILED, words, advice, details), None
    finding, key = await _fetch_key(checkup, candidates[0])
    return finding._replace(details=details), key


def _choice(source: CredentialSource, candidates: list[CredentialSource]) -> str:
    if source not in candidates:
        return ""
    return "; this one is used" if source is candidates[0] else "; not used, because an earlier place comes first"


async def _fetch_key(checkup: Checkup, source: CredentialSource) -> tuple[Finding, Credentials | None]:
    given = source.for_stopper
    try:
        async with asyncio.timeout(checkup.timeout_seconds):
            key = given if isinstance(given, Credentials) else await given()
    except TimeoutError:
        words = f"no answer from {source.place} within {checkup.timeout_seconds:g} s"
        return Finding("credentials", FindingState.FAILED, words, "Try again, or set VOLCENGINE_ACCESS_KEY"), None
    except StopcastError as error:
        advice = "Log in there again, or set VOLCENGINE_ACCESS_KEY"
        return Finding("credentials", FindingState.FAILED, str(error), advice), None
    kind = "temporary key" if key.session_token else "key"
    words = f"{kind} {masked(key.access_key)} from {source.place}; its secret is not shown"
    if key.expires_at is not None:
        words += f"; expires {time.strftime('%Y-%m-%d %H:%M:%SZ', time.gmtime(key.expires_at))}"
    state = FindingState.WARNING if source.warnings else FindingState.OK
    return Finding("credentials", state, words, "; ".join(source.warnings)), key


def masked(access_key: str) -> str:
    """Return the two ends of an access key, which identify it; of a short key only the beginning."""
    shown = _SHOWN_OF_A_KEY
    if len(access_key) < 4 * shown:
        return f"{access_key[: shown // 2]}…"
    return f"{access_key[:shown]}…{access_key[-shown:]}"


async def check_clock(checkup: Checkup, endpoint: Endpoint) -> tuple[Finding, float]:
    """Compare this machine's clock with the API's Date. Return the offset, in seconds, to sign with."""
    before = time.time()
    # Unsigned, so that the answer depends neither on the key nor on the clock.
    reply = await _call(checkup, endpoint, GET_WEBCAST_TASK, _ASKED_ABOUT, None)
    if reply.server_time is None:
        words = f"the API's answer has no time: {reply.message or reply.code}"
        return Finding("clock", FindingState.WARNING, words, "Compare this machine's clock with another one"), 0.0
    # Date has whole seconds, and was written between the call and its answer.
    offset = reply.server_time + 0.5 - (before + time.time()) / 2
    words = f"{abs(offset):.0f} s {'behind' if offset > 0 else 'ahead of'} the API's"
    if abs(offset) > SIGNATURE_LIFETIME:
        words += f"; the API refuses requests beyond {SIGNATURE_LIFETIME} s"
        return Finding("clock", FindingState.FAILED, words, _SET_CLOCK), offset
    if abs(offset) > _CLOCK_TOLERANCE_SECONDS:
        return Finding("clock", FindingState.WARNING, words, _SET_CLOCK), offset
    return Finding("clock", FindingState.OK, "right to the second" if abs(offset) < 1 else words), 0.0


async def check_key(checkup: Checkup, endpoint: Endpoint, credentials: Credentials, offset: float) -> Finding:
    """Check that the API accepts the key, with one call that can stop nothing."""
    reply = await _call(checkup, endpoint, STOP_WEBCAST, IMPOSSIBLE_TASK, (credentials, offset))
    how = "tested by one call of StopWebcast with ids that cannot exist: they contain spaces"
    return _judged("key accepted", reply, f"yes ({reply.code or 'ok'})", "no")._replace(details=(how,))


async def check_application(checkup: Checkup, endpoint: Endpoint, credentials: Credentials, offset: float) -> Finding:
    """Check that the AppId belongs to the account, with one call that only reads."""
    task = _ASKED_ABOUT._replace(app_id=checkup.app_id or "")
    part = f"AppId {checkup.app_id}"
    reply = await _call(checkup, endpoint, GET_WEBCAST_TASK, task, (credentials, offset))
    if judge(reply) is Verdict.APPLICATION:
        return _refused(part, reply, "the API refuses it")
    return _judged(part, reply, "the API refuses neither it nor GetWebCastTask", "unknown")


def _judged(part: str, reply: Reply, accepted: str, not_accepted: str) -> Finding:
    match judge(reply):
        case Verdict.OK | Verdict.NO_SUCH_TASK | Verdict.TASK | Verdict.APPLICATION | Verdict.UNKNOWN_REFUSAL:
            return Finding(part, FindingState.OK, accepted)
        case Verdict.THROTTLED:
            words = f"unknown, because the account is throttled ({reply.code})"
            advice = "Find what else calls the API with this account, then try again"
            return Finding(part, FindingState.WARNING, words, advice)
        case _:
            return _refused(part, reply, not_accepted)


def _refused(part: str, reply: Reply, words: str) -> Finding:
    verdict = judge(reply)
    meaning = explanation_of(reply.code or "", verdict).meaning.en
    reason = f"{reply.code}: {meaning}" if reply.code else f"{reply.message}"
    request = f" (request {reply.request_id})" if reply.request_id else ""
    return Finding(part, FindingState.FAILED, f"{words}: {reason}{request}", _ADVICE[verdict])


async def _call(
    checkup: Checkup, endpoint: Endpoint, action: Action, task: Task, signed: tuple[Credentials, float] | None
) -> Reply:
    """Make one call, either unsigned, or signed with a key at the present time plus an offset in seconds."""
    place = endpoint.of(action.name)
    request = action.request(task, place.query)
    headers: dict[str, str] = {}
    if signed is not None:
        key, offset = signed
        signer = Signer(key, host=place.host, region=place.region, query=place.query, method=action.method)
        headers = signer.sign(request, time.time() + offset)
    try:
        async with (
            asyncio.timeout(checkup.timeout_seconds),
            AiohttpTransport(place.url, method=action.method) as transport,
        ):
            answer = await transport.send(request, OpenGate(headers))
            return action.read(answer.status, answer.headers, answer.body, headers.get("X-Security-Token", ""))
    except TransportError as error:
        return Reply(None, readable=False, message=str(error))
    except TimeoutError:
        return Reply(None, readable=False, message=f"no answer within {checkup.timeout_seconds:g} s")


async def _admit() -> None:
    """Admit the call at once: a single call needs no rate limit."""
