"""The first line of a run's log where nothing is drawn: what the report does not say, for those who read it later."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from stopcast.api.network import Proxy
from stopcast.cli.options import CallOptions, Options
from stopcast.cli.running.targets import OneAccount, Target
from stopcast.cli.running.user import User
from stopcast.fleet.connection import without_secrets
from stopcast.i18n import _


@dataclass(frozen=True, slots=True)
class _Opened:
    """An account as the log names it."""

    name: str
    host: str
    region: str
    key: str
    max_per_second: float

    def __str__(self) -> str:
        facts = [
            _("to {host}", host=self.host),
            _("region {region}", region=self.region),
            _("key {key}", key=self.key),
            _("at most {rate:g} calls a second", rate=self.max_per_second),
        ]
        text = _(", ").join(facts)
        return _("account {name}: {calls}", name=self.name, calls=text) if self.name else text


def log_opening(user: User, target: Target, options: Options, *, doing: str, stops_tasks: bool) -> None:
    """Log what is done, where, as whom, how fast, until when and into which report.

    Args:
        user: reads the log.
        target: the accounts.
        options: of the command.
        doing: what is done to which lists.
        stops_tasks: whether an account's own cap applies.
    """
    calls, until = options.calls, options.guards.until
    ends_at = None if until is None else datetime.now().astimezone() + timedelta(seconds=until.left_seconds)
    proxy = None if calls.proxy is None or calls.sandbox else Proxy.parse(calls.proxy).shown
    accounts = list(_accounts(target, calls, stops_tasks=stops_tasks))
    facts = [doing]
    if calls.sandbox:
        facts.append(_("a rehearsal with --sandbox"))
    if len(accounts) == 1 and not accounts[0].name:
        facts.append(str(accounts[0]))
    if proxy is not None:
        facts.append(_("through the proxy {proxy}", proxy=proxy))
    if calls.quota is not None:
        facts.append(_("the cap shared at {url}", url=without_secrets(calls.quota)))
    if ends_at is not None:
        facts.append(_("until {moment:%Y-%m-%d %H:%M}", moment=ends_at))
    facts += [_("report {report}", report=options.report.path), _("PID {pid}", pid=os.getpid())]
    user.log(
        "\n".join([_(", ").join(facts), *(f"  {account}" for account in accounts if account.name)]),
        event="run_started",
        lists=list(options.lists.tasks),
        accounts=[asdict(account) for account in accounts],
        sandbox=calls.sandbox,
        proxy=proxy,
        quota=calls.quota and without_secrets(calls.quota),
        until=ends_at and ends_at.isoformat(timespec="seconds"),
        report=options.report.path,
        pid=os.getpid(),
    )


def _accounts(target: Target, calls: CallOptions, *, stops_tasks: bool) -> Iterator[_Opened]:
    for account in [target] if isinstance(target, OneAccount) else target.accounts.values():
        cap = account.cap(calls, stops_tasks=stops_tasks)
        yield _Opened(account.name, account.endpoint.host, account.endpoint.region, account.key, cap)
