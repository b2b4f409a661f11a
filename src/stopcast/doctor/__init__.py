"""Checks whether a run would work from here: key, connection to the API, clock, rights, room for the report.

Nothing is stopped: the only call of StopWebcast has ids that no task can have. No secret is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from urllib.parse import urlsplit

from stopcast.api.endpoint import Endpoint
from stopcast.credentials.value import Credentials
from stopcast.doctor.connection import connect, find_addresses, network_advice
from stopcast.doctor.findings import AccountToCheck, Checkup, Finding, FindingState
from stopcast.doctor.key import check_application, check_clock, check_key, find_key
from stopcast.doctor.report import check_report
from stopcast.errors import StopcastError
from stopcast.i18n import _

__all__ = ["AccountToCheck", "Checkup", "Finding", "FindingState", "examine"]


async def examine(checkup: Checkup) -> AsyncIterator[Finding]:
    """Yield the findings in order. What depends on a check that failed is not tried. No finding is raised.

    An endpoint is checked once for all accounts. An account of an accounts file has one finding.
    """
    offsets: dict[str, float | None] = {}
    for account in checkup.accounts:
        async for finding in _examine_account(checkup, account, offsets):
            yield finding
    if checkup.app_id is not None and checkup.app_account not in {account.name for account in checkup.accounts}:
        yield _not_checked(checkup.app_id, checkup.app_account)
    yield check_report(checkup.report)


async def _examine_account(
    checkup: Checkup, account: AccountToCheck, offsets: dict[str, float | None]
) -> AsyncIterator[Finding]:
    """Yield the findings about one account, and about its endpoint unless ``offsets`` has it."""
    found, key = await find_key(account, checkup.timeout_seconds)
    if not account.name:
        yield found
    try:
        endpoint = account.endpoint(key.region if key else None)
    except StopcastError as error:
        advice = _("Set --endpoint https://HOST, or leave it out")
        yield Finding(_("endpoint"), FindingState.FAILED, str(error), advice)
        return
    if endpoint.url not in offsets:
        async for finding in _examine_endpoint(endpoint, checkup, offsets):
            yield finding
    offset = offsets[endpoint.url]
    accepted = await _examine_key(endpoint, key, offset, checkup)
    yield _merged(account.name, found, accepted) if account.name else accepted
    if checkup.app_id is not None and checkup.app_account == account.name and key is not None and offset is not None:
        yield await check_application(checkup.app_id, endpoint, key, offset, checkup)


async def _examine_endpoint(
    endpoint: Endpoint, checkup: Checkup, offsets: dict[str, float | None]
) -> AsyncIterator[Finding]:
    """Yield the findings about an endpoint, and put the offset of its clock into ``offsets``, None for no answer."""
    offsets[endpoint.url] = None
    words = _("{host}, signed for region {region}", host=endpoint.host, region=endpoint.region)
    yield Finding(_("endpoint"), FindingState.OK, words)
    proxy = checkup.network.proxy
    # With a proxy only the proxy is reached from here. The first call shows whether it reaches the API.
    address = urlsplit(endpoint.url if proxy is None else proxy.url)
    host, port = address.hostname or "", address.port or (443 if address.scheme == "https" else 80)
    for check in (find_addresses, partial(connect, secure=address.scheme == "https")):
        try:
            async with asyncio.timeout(checkup.timeout_seconds):
                finding = await check(host, port)
        except TimeoutError:
            words = _("no answer from {host} within {seconds:g} s", host=host, seconds=checkup.timeout_seconds)
            finding = Finding(_("connection"), FindingState.FAILED, words, network_advice())
        if finding.state is FindingState.FAILED:
            yield finding
            yield Finding(_("clock"), FindingState.NOT_TRIED, _("the API cannot be reached"))
            return
        if proxy is not None and finding.part == _("connection"):
            finding = finding._replace(words=_("to the proxy {proxy}", proxy=proxy.shown))
        yield finding
    finding, offsets[endpoint.url] = await check_clock(endpoint, checkup)
    yield finding


async def _examine_key(endpoint: Endpoint, key: Credentials | None, offset: float | None, checkup: Checkup) -> Finding:
    if offset is None:
        return Finding(_("key accepted"), FindingState.NOT_TRIED, _("the API cannot be reached"))
    if key is None:
        return Finding(_("key accepted"), FindingState.NOT_TRIED, _("there is no key"))
    return await check_key(endpoint, key, offset, checkup)


def _merged(account: str, found: Finding, accepted: Finding) -> Finding:
    """Return the findings about an account's key as one."""
    part = _("account {name}", name=account)
    if found.state is FindingState.FAILED:
        return found._replace(part=part)
    words = _("{key}; accepted: {answer}", key=found.words, answer=accepted.words)
    state = accepted.state if accepted.state is not FindingState.OK else found.state
    advice = "\n".join(filter(None, (found.advice, accepted.advice)))
    return Finding(part, state, words, advice)


def _not_checked(app_id: str, account: str | None) -> Finding:
    """Return the finding about an AppId whose account is not among those that are checked."""
    part = _("AppId {app_id}", app_id=app_id)
    if account is None:
        words = _("no account claims it, so its tasks would not be sent")
        return Finding(part, FindingState.FAILED, words, _("Add it to the apps of its account in the accounts file"))
    words = _("account {name} claims it, and only another account was checked", name=account)
    return Finding(part, FindingState.NOT_TRIED, words, _("Leave --account out, or name this one"))
