"""Checks of the key: which one a run would use, and whether the API accepts it. Nothing that can exist is stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from stopcast.api.actions import GET_WEBCAST_TASK, STOP_WEBCAST, Action
from stopcast.api.answers import Reply, read_answer
from stopcast.api.endpoint import Endpoint
from stopcast.api.meanings import explanation_of
from stopcast.api.signing import SIGNATURE_LIFETIME, Signer
from stopcast.api.transport import AiohttpTransport
from stopcast.api.verdict import Verdict, judge
from stopcast.credentials.files import SourceState
from stopcast.credentials.places import CredentialSource
from stopcast.credentials.value import Credentials
from stopcast.doctor.findings import AccountToCheck, Checkup, Finding, FindingState
from stopcast.errors import StopcastError
from stopcast.i18n import _, duration, language
from stopcast.marking import N_
from stopcast.ports import OpenGate, TransportError
from stopcast.tasks.task import Task

#: No id can contain a space, so no task can have these ids.
IMPOSSIBLE_TASK: Final = Task("no app", "no room", "no task")
#: Ids that a task could have. The doctor only asks about it.
_ASKED_ABOUT: Final = Task("stopcast-doctor", "stopcast-doctor", "stopcast-doctor")
#: A clock that is off by less is no warning: the API's Date has whole seconds, and a run corrects the rest.
_CLOCK_TOLERANCE_SECONDS: Final = 30.0
_SET_CLOCK: Final = N_("Set this machine's clock: timedatectl set-ntp true")
#: Not the advice of ``api.meanings``, which sends the user to the doctor.
_ADVICE: Final[Mapping[Verdict, str]] = {
    Verdict.ACCOUNT: N_(
        "Check in the console that this access key is active, that its secret is the one set here, and that it has "
        "the right to this action. Check the region too (--region)"
    ),
    Verdict.UNKNOWN_ACCOUNT: N_(
        "Look the code up in the vendor's documentation, then check the access key, its secret, its rights and the "
        "region (--region)"
    ),
    Verdict.APPLICATION: N_("Check the AppId in the console, and that the key belongs to its account"),
    Verdict.CLOCK: _SET_CLOCK,
    Verdict.TRANSIENT: N_("Try again in a moment. If it persists, check --endpoint and the proxies on the way"),
}


async def find_key(account: AccountToCheck, timeout_seconds: float) -> tuple[Finding, Credentials | None]:
    """Check which key a run would use, and return it; None if a run could use none."""
    places = account.places
    candidates = [source for source in places if source.state in {SourceState.USABLE, SourceState.BROKEN}]
    details = tuple(_described(source, candidates) for source in places)
    part = _("credentials")
    if account.name and (not candidates or candidates[0].state is SourceState.BROKEN):
        (source,) = places
        words = _("its key cannot be used: {place}: {description}", place=source.place, description=source.description)
        advice = _("Put the key there, or name another place in the accounts file")
        return Finding(part, FindingState.FAILED, words, advice), None
    if not candidates:
        advice = _("Set VOLCENGINE_ACCESS_KEY and VOLCENGINE_SECRET_KEY, or rehearse with stopcast run --sandbox")
        return Finding(part, FindingState.FAILED, _("none in any place"), advice, details), None
    if candidates[0].state is SourceState.BROKEN:
        words = _("those in {place} cannot be used", place=candidates[0].place)
        advice = _("Fix or remove them. Later places are not tried, because their key might be another account's")
        return Finding(part, FindingState.FAILED, words, advice, details), None
    finding, key = await _fetch_key(candidates[0], timeout_seconds)
    return finding._replace(details=details), key


def _described(source: CredentialSource, candidates: list[CredentialSource]) -> str:
    fields = {"place": source.place, "description": source.description}
    if source not in candidates:
        return _("{place}: {description}", **fields)
    if source is candidates[0]:
        return _("{place}: {description}; this one is used", **fields)
    return _("{place}: {description}; not used, because an earlier place comes first", **fields)


async def _fetch_key(source: CredentialSource, timeout_seconds: float) -> tuple[Finding, Credentials | None]:
    given, part = source.for_stopper, _("credentials")
    try:
        async with asyncio.timeout(timeout_seconds):
            key = given if isinstance(given, Credentials) else await given()
    except TimeoutError:
        words = _("no answer from {place} within {seconds:g} s", place=source.place, seconds=timeout_seconds)
        return Finding(part, FindingState.FAILED, words, _("Try again, or set VOLCENGINE_ACCESS_KEY")), None
    except StopcastError as error:
        advice = _("Log in there again, or set VOLCENGINE_ACCESS_KEY")
        return Finding(part, FindingState.FAILED, str(error), advice), None
    state = FindingState.WARNING if source.warnings else FindingState.OK
    return Finding(part, state, _key_words(key, source.place), _("; ").join(source.warnings)), key


def _key_words(key: Credentials, place: str) -> str:
    fields = {"key": key.shown_key, "place": place}
    if key.expires_at is not None:
        expires = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(key.expires_at))
        return _("temporary key {key} from {place}; its secret is not shown; expires {time}", time=expires, **fields)
    if key.session_token:
        return _("temporary key {key} from {place}; its secret is not shown", **fields)
    return _("key {key} from {place}; its secret is not shown", **fields)


async def check_clock(endpoint: Endpoint, checkup: Checkup) -> tuple[Finding, float]:
    """Compare this machine's clock with the API's Date. Return the offset, in seconds, to sign with."""
    before, part = time.time(), _("clock")
    # Unsigned, so that the answer depends neither on the key nor on the clock.
    reply = await _call(endpoint, GET_WEBCAST_TASK, _ASKED_ABOUT, None, checkup)
    if reply.server_time is None:
        words = _("the API's answer has no time: {reason}", reason=reply.message or reply.code)
        return Finding(part, FindingState.WARNING, words, _("Compare this machine's clock with another one")), 0.0
    # Date has whole seconds, and was written between the call and its answer.
    offset = reply.server_time + 0.5 - (before + time.time()) / 2
    if abs(offset) < 1:
        return Finding(part, FindingState.OK, _("right to the second")), 0.0
    if offset > 0:
        words = _("{duration} behind the API's", duration=duration(offset))
    else:
        words = _("{duration} ahead of the API's", duration=duration(-offset))
    if abs(offset) > SIGNATURE_LIFETIME:
        words = _("{clock}; the API refuses requests beyond {most}", clock=words, most=duration(SIGNATURE_LIFETIME))
        return Finding(part, FindingState.FAILED, words, _(_SET_CLOCK)), offset
    if abs(offset) > _CLOCK_TOLERANCE_SECONDS:
        return Finding(part, FindingState.WARNING, words, _(_SET_CLOCK)), offset
    return Finding(part, FindingState.OK, words), 0.0


async def check_key(endpoint: Endpoint, key: Credentials, offset: float, checkup: Checkup) -> Finding:
    """Check that the API accepts the key, with one call that can stop nothing."""
    reply = await _call(endpoint, STOP_WEBCAST, IMPOSSIBLE_TASK, (key, offset), checkup)
    how = _("tested by one call of StopWebcast with ids that cannot exist: they contain spaces")
    part, accepted = _("key accepted"), _("yes ({code})", code=reply.code or "ok")
    return _judged(part, reply, accepted, N_("no: {reason}"))._replace(details=(how,))


async def check_application(
    app_id: str, endpoint: Endpoint, key: Credentials, offset: float, checkup: Checkup
) -> Finding:
    """Check that the AppId belongs to the account, with one call that only reads."""
    task, part = _ASKED_ABOUT._replace(app_id=app_id), _("AppId {app_id}", app_id=app_id)
    reply = await _call(endpoint, GET_WEBCAST_TASK, task, (key, offset), checkup)
    if judge(reply) is Verdict.APPLICATION:
        return _refused(part, reply, N_("the API refuses it: {reason}"))
    return _judged(part, reply, _("the API refuses neither it nor GetWebCastTask"), N_("unknown: {reason}"))


def _judged(part: str, reply: Reply, accepted: str, not_accepted: str) -> Finding:
    match judge(reply):
        case Verdict.OK | Verdict.NO_SUCH_TASK | Verdict.TASK | Verdict.APPLICATION | Verdict.UNKNOWN_REFUSAL:
            return Finding(part, FindingState.OK, accepted)
        case Verdict.THROTTLED:
            words = _("unknown, because the account is throttled ({code})", code=reply.code)
            advice = _("Find what else calls the API with this account, then try again")
            return Finding(part, FindingState.WARNING, words, advice)
        case _:
            return _refused(part, reply, not_accepted)


def _refused(part: str, reply: Reply, template: str) -> Finding:
    """Return the finding of a refusal. The template is a message with the field ``reason``."""
    verdict = judge(reply)
    meaning = explanation_of(reply.code or "", verdict).meaning.of(language())
    reason = _("{code}: {meaning}", code=reply.code, meaning=meaning) if reply.code else f"{reply.message}"
    if reply.request_id:
        reason = _("{reason} (request {request_id})", reason=reason, request_id=reply.request_id)
    return Finding(part, FindingState.FAILED, _(template, reason=reason), _(_ADVICE[verdict]))


async def _call(
    endpoint: Endpoint, action: Action, task: Task, signed: tuple[Credentials, float] | None, checkup: Checkup
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
            AiohttpTransport(place.url, method=action.method, network=checkup.network) as transport,
        ):
            answer = await transport.send(request, OpenGate(headers))
            secret = headers.get("X-Security-Token", "")
            return read_answer(answer.status, answer.headers, answer.body, state_of=action.state_of, secret=secret)
    except TransportError as error:
        return Reply(None, readable=False, message=str(error))
    except TimeoutError:
        return Reply(None, readable=False, message=_("no answer within {seconds:g} s", seconds=checkup.timeout_seconds))
