"""What the API answers: its time, and whether it takes the key. Nothing that could exist is stopped."""

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
from stopcast.credentials.value import Credentials
from stopcast.doctor.findings import Finding, Patient, State
from stopcast.ports import TransportError
from stopcast.tasks.task import Task

#: No id may hold a space, so that no task can be called this.
NO_SUCH_TASK: Final = Task("no app", "no room", "no task")
#: Ids that a task could have. It is only asked about.
_ASKED_ABOUT: Final = Task("stopcast-doctor", "stopcast-doctor", "stopcast-doctor")
#: Seconds by which a clock may be off before that is worth a word: a Date is cut to whole seconds.
_CLOCK_MAY_BE_OFF: Final = 30.0


async def _ask(
    patient: Patient, endpoint: Endpoint, action: Action, task: Task, signed: tuple[Credentials, float] | None
) -> Reply:
    """Make one call, signed with a key and for a clock that is off by so much, or unsigned."""
    place = endpoint.of(action.name)
    request = action.request(task, place.query)
    headers: dict[str, str] = {}
    if signed is not None:
        key, offset = signed
        signer = Signer(key, host=place.host, region=place.region, query=place.query, method=action.method)
        headers = signer.sign(request, time.time() + offset)
    try:
        async with (
            asyncio.timeout(patient.timeout_seconds),
            AiohttpTransport(place.url, method=action.method) as transport,
        ):
            answer = await transport.send(request.body, headers, _at_once, request.query)
            return action.read(*answer, headers.get("X-Security-Token", ""))
    except TransportError as error:
        return Reply(None, readable=False, message=str(error))
    except TimeoutError:
        return Reply(None, readable=False, message=f"no answer within {patient.timeout_seconds:g} s")


async def _at_once() -> None:
    """Admit a call: there is one, and no cap to keep."""


async def look_at_clock(patient: Patient, endpoint: Endpoint) -> tuple[Finding, float]:
    """Return what the API's Date says of this machine's clock, and the offset to sign with."""
    before = time.time()
    # Unsigned, so that it is answered whatever the key and the clock are.
    reply = await _ask(patient, endpoint, GET_WEBCAST_TASK, _ASKED_ABOUT, None)
    if reply.server_time is None:
        words = f"the API did not tell its time: {reply.message or reply.code}"
        return Finding("clock", State.WARNING, words, "Compare this machine's clock with another one"), 0.0
    # Date is cut to seconds, and was written somewhere between the call and its answer.
    offset = reply.server_time + 0.5 - (before + time.time()) / 2
    words = f"{abs(offset):.0f} s {'behind' if offset > 0 else 'ahead of'} the API's"
    advice = "Set this machine's clock: timedatectl set-ntp true"
    if abs(offset) > SIGNATURE_LIFETIME:
        words += f"; beyond {SIGNATURE_LIFETIME} s the API refuses a request"
        return Finding("clock", State.FAILED, words, advice), offset
    if abs(offset) > _CLOCK_MAY_BE_OFF:
        return Finding("clock", State.WARNING, words, advice), offset
    return Finding("clock", State.OK, "right to the second" if abs(offset) < 1 else words), 0.0


async def try_key(patient: Patient, endpoint: Endpoint, credentials: Credentials, offset: float) -> Finding:
    """Return whether the API takes the key, by one call that can stop nothing."""
    reply = await _ask(patient, endpoint, STOP_WEBCAST, NO_SUCH_TASK, (credentials, offset))
    called = "asked by one call of StopWebcast for a task that cannot exist: its ids hold spaces"
    finding = _judged("key accepted", reply, f"yes ({reply.code or 'ok'})", "no")
    return finding._replace(details=(called,))


async def try_application(patient: Patient, endpoint: Endpoint, credentials: Credentials, offset: float) -> Finding:
    """Return whether the AppId is the account's, by one call that only reads."""
    task = _ASKED_ABOUT._replace(app_id=patient.app_id or "")
    reply = await _ask(patient, endpoint, GET_WEBCAST_TASK, task, (credentials, offset))
    if judge(reply) is Verdict.APPLICATION:
        return _refused(f"AppId {patient.app_id}", reply, "the API refuses it")
    return _judged(f"AppId {patient.app_id}", reply, "the API refuses neither it nor GetWebCastTask", "cannot be told")


def _judged(part: str, reply: Reply, yes: str, no: str) -> Finding:
    match judge(reply):
        case Verdict.OK | Verdict.NO_SUCH_TASK | Verdict.TASK | Verdict.APPLICATION | Verdict.UNKNOWN_REFUSAL:
            return Finding(part, State.OK, yes)
        case Verdict.THROTTLED:
            words = f"the account is throttled ({reply.code}), so that it cannot be told"
            return Finding(part, State.WARNING, words, "See what else calls with this account, and try again")
        case _:
            return _refused(part, reply, no)


def _refused(part: str, reply: Reply, words: str) -> Finding:
    meaning = explanation_of(reply.code or "", judge(reply)).meaning.en
    told = f"{reply.code}: {meaning}" if reply.code else f"{reply.message}"
    request = f" (request {reply.request_id})" if reply.request_id else ""
    return Finding(part, State.FAILED, f"{words}: {told}{request}", _ADVICE[judge(reply)])


#: In place of what an explanation advises: it sends people here.
_ADVICE: Final[Mapping[Verdict, str]] = {
    Verdict.ACCOUNT: "Check in the console that this access key is active, that its secret is the one set here, that "
    "it has the right to the action, and the region (--region)",
    Verdict.UNKNOWN_ACCOUNT: "Look the code up in the vendor's documentation, then check the access key, its secret, "
    "its rights and the region (--region)",
    Verdict.APPLICATION: "Check the AppId in the console, and that the key belongs to its account",
    Verdict.CLOCK: "Set this machine's clock: timedatectl set-ntp true",
    Verdict.TRANSIENT: "Try again in a moment; if it lasts, check --endpoint and what stands in between",
}
