"""What a run is, where its calls go and as whom: for the display, and for the first line of a log."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from stopcast.api.network import Proxy
from stopcast.cli.display import messages
from stopcast.cli.options import CallOptions, Options
from stopcast.cli.running.targets import Target
from stopcast.cli.user import User
from stopcast.fleet.connection import without_secrets
from stopcast.i18n import _, duration, ngettext
from stopcast.report.opening import own_stream


@dataclass(frozen=True, slots=True)
class _Account:
    """An account as the display and the log name it."""

    name: str
    host: str
    region: str
    key: str
    max_per_second: float

    @property
    def place(self) -> list[str]:
        """Where the calls go and as whom."""
        return [
            _("to {host}", host=self.host),
            _("region {region}", region=self.region),
            _("key {key}", key=self.key),
        ]

    def __str__(self) -> str:
        text = _(", ").join([*self.place, _("at most {rate:g} calls a second", rate=self.max_per_second)])
        return _("account {name}: {calls}", name=self.name, calls=text) if self.name else text


def shown_facts(target: Target, calls: CallOptions) -> list[str]:
    """Return where the calls go and as whom, for the display, which shows the cap itself."""
    if calls.sandbox:
        return [_("the sandbox: a rehearsal, nothing real is stopped")]
    accounts = list(_accounts(target, calls, stops_tasks=True))
    if accounts[0].name:
        place = [ngettext("1 account", "{number:,} accounts", len(accounts)), _("to {host}", host=target.hosts)]
    else:
        place = accounts[0].place
    return [*place, *_detours(calls)]


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
    accounts = list(_accounts(target, calls, stops_tasks=stops_tasks))
    facts = [doing]
    if calls.sandbox:
        facts.append(_("a rehearsal with --sandbox"))
    if len(accounts) == 1 and not accounts[0].name:
        facts.append(str(accounts[0]))
    facts += _detours(calls)
    if until is not None:
        left = until.left_seconds
        moment = messages.moment(left, dated=True)
        facts.append(_("until {moment}, in {duration}", moment=moment, duration=duration(left)))
    path = options.report.path
    # The log may be read in another working directory.
    report = Path(path).absolute() if path and own_stream(path) is None else path
    facts += [_("report {report}", report=report), _("PID {pid}", pid=os.getpid())]
    user.log(
        "\n".join([_(", ").join(facts), *(f"  {account}" for account in accounts if account.name)]),
        event="run_started",
        lists=list(options.lists.tasks),
        accounts=[asdict(account) for account in accounts],
        sandbox=calls.sandbox,
        proxy=_proxy_of(calls),
        quota=calls.quota and without_secrets(calls.quota),
        until=until and messages.local_time(until.left_seconds).isoformat(),
        report=options.report.path,
        pid=os.getpid(),
    )


def _detours(calls: CallOptions) -> Iterator[str]:
    if (proxy := _proxy_of(calls)) is not None:
        yield _("through the proxy {proxy}", proxy=proxy)
    if calls.quota is not None:
        yield _("the cap shared at {url}", url=without_secrets(calls.quota))


def _proxy_of(calls: CallOptions) -> str | None:
    return None if calls.proxy is None or calls.sandbox else Proxy.parse(calls.proxy).shown


def _accounts(target: Target, calls: CallOptions, *, stops_tasks: bool) -> Iterator[_Account]:
    for account in target.accounts:
        cap = account.cap(calls, stops_tasks=stops_tasks)
        yield _Account(account.name, account.endpoint.host, account.endpoint.region, account.key, cap)
