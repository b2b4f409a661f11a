"""``stopcast doctor``: its options, and the form in which findings are printed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

import click

from stopcast.cli.errors import report_errors
from stopcast.cli.options import CallOptions, OutputOptions, ReportOptions
from stopcast.cli.options.option import option, takes
from stopcast.cli.wrapping import cells
from stopcast.doctor.findings import FindingState
from stopcast.errors import ConfigurationError
from stopcast.i18n import Language, _, ngettext, speaking
from stopcast.marking import N_

if TYPE_CHECKING:
    from stopcast.accounts.file import AccountEntry
    from stopcast.api.endpoint import Endpoint
    from stopcast.doctor import AccountToCheck, Checkup, Finding

#: By state, what the line of a finding begins with.
_MARKS: Final = {
    FindingState.OK: N_("ok"),
    FindingState.WARNING: N_("warning"),
    FindingState.FAILED: N_("FAILED"),
    FindingState.NOT_TRIED: "-",
}
_MARK_WIDTH: Final = 9


@click.command()
@takes("report", ReportOptions, only=("path",), path={"help": "The report that the run would write."})
@takes(
    "calls",
    CallOptions,
    only=("accounts", "account", "endpoint", "region", "api_version", "proxy", "timeout_seconds"),
    accounts={"help": "Check the key of each account of this file (TOML)."},
    account={"help": "Of that file, check only this account."},
    timeout_seconds={"default": 10, "help": "For each step."},
)
@option(
    "--app-id", metavar="APPID", help="Also check that this AppId belongs to the account, by a call that only reads."
)
@takes("output", OutputOptions, only=("as_json",), as_json={"help": "The findings as one JSON object."})
@report_errors
def doctor(*, report: ReportOptions, calls: CallOptions, app_id: str | None, output: OutputOptions) -> None:
    """Check whether a run would work from here, and say what to fix.

    Checks the credentials (in every place where they may be; no secret is shown), the connection to the API, this
    machine's clock against the API's, whether the API accepts the key, and whether the report has room. To test the key
    it calls StopWebcast once, with ids that cannot exist: they contain spaces, so nothing can be stopped. With
    --accounts it does so once for each account.

    Exit status: 0 a run would work; 2 wrong usage; 3 something must be fixed first.
    """
    from stopcast.cli import event_loop
    from stopcast.cli.output import EXIT_GIVEN_UP, EXIT_GOOD
    from stopcast.tasks.task import ID_PATTERN

    if app_id is not None and not ID_PATTERN.fullmatch(app_id):
        text = _("--app-id {app_id!r}: an AppId may contain letters, digits, _ @ - and . only", app_id=app_id)
        raise ConfigurationError(text)
    checkup = _checkup(report, calls, app_id)
    with speaking(Language.EN) if output.as_json else nullcontext():
        findings = event_loop.run(_examine(checkup, show=not output.as_json))
    failed = sum(finding.state is FindingState.FAILED for finding in findings)
    _print_conclusion(findings, failed, as_json=output.as_json)
    sys.exit(EXIT_GIVEN_UP if failed else EXIT_GOOD)


def _checkup(report: ReportOptions, calls: CallOptions, app_id: str | None) -> Checkup:
    from pathlib import Path

    from stopcast.accounts.file import AccountEntry, read_accounts
    from stopcast.accounts.routes import Routes
    from stopcast.api.network import Network, Proxy
    from stopcast.doctor import Checkup

    app_account: str | None = ""
    if calls.accounts:
        accounts, routes = read_accounts(calls.accounts)
        checked = [_to_check(account, calls) for account in accounts if calls.account in {None, account.name}]
        app_account = Routes(routes).account_of(app_id) if app_id else None
        if not checked:
            names = ", ".join(account.name for account in accounts)
            text = _(
                "--account {name}: {file} has the accounts {names}",
                name=calls.account,
                file=calls.accounts,
                names=names,
            )
            raise ConfigurationError(text)
    else:
        # The variable may be set for the shared quota.
        source = click.get_current_context().get_parameter_source("calls_account")
        if calls.account and source is not click.core.ParameterSource.ENVIRONMENT:
            raise click.UsageError(_("--account needs --accounts FILE, which names the accounts"))
        checked = [_to_check(AccountEntry(name="", apps=()), calls)]
    return Checkup(
        accounts=checked,
        report=Path(report.path),
        app_id=app_id,
        app_account=app_account,
        timeout_seconds=calls.timeout_seconds,
        network=Network(Proxy.parse(calls.proxy) if calls.proxy else None),
    )


def _to_check(account: AccountEntry, calls: CallOptions) -> AccountToCheck:
    """Return an account of an accounts file, or the one without a name, with what the options give to all accounts."""
    from stopcast.accounts.keys import read_key
    from stopcast.credentials.chain import list_sources
    from stopcast.credentials.places import Search
    from stopcast.doctor import AccountToCheck

    search = Search.here()
    return AccountToCheck(
        name=account.name,
        places=(read_key(account, search),) if account.name else list_sources(search),
        endpoint=_endpoint(account.endpoint or calls.endpoint, account.region or calls.region, calls.api_version),
    )


def _endpoint(url: str | None, region: str | None, version: str) -> Callable[[str | None], Endpoint]:
    """Return a function from the region that a key names to the endpoint; a wrong option is wrong usage."""
    from stopcast.api.endpoint import DEFAULT_ENDPOINT, Endpoint

    def parse(key_region: str | None) -> Endpoint:
        return Endpoint.parse(url or DEFAULT_ENDPOINT, region=region, key_region=key_region, version=version)

    parse(None)
    return parse


async def _examine(checkup: Checkup, *, show: bool) -> list[Finding]:
    from stopcast.cli.output import write_text
    from stopcast.doctor import examine

    findings = []
    async for finding in examine(checkup):
        findings.append(finding)
        if show:
            write_text(_text(finding))
    return findings


def _text(finding: Finding) -> str:
    from stopcast.i18n import visible

    lines = [_("{part}: {words}", part=finding.part, words=finding.words)]
    lines += [f"  {detail}" for detail in finding.details]
    lines += [f"> {advice}" for advice in finding.advice.split("\n") if advice]
    mark = _(_MARKS[finding.state])
    indent = " " * _MARK_WIDTH
    first, *others = map(visible, lines)
    # A Chinese character takes two cells.
    return "\n".join([mark + " " * (_MARK_WIDTH - cells(mark)) + first, *(indent + line for line in others)])


def _print_conclusion(findings: list[Finding], failed: int, *, as_json: bool) -> None:
    from stopcast.cli.output import write_json, write_text

    if as_json:
        write_json({"good": not failed, "findings": [finding._asdict() for finding in findings]})
    elif failed:
        write_text(ngettext("1 problem to fix before a run.", "{number} problems to fix before a run.", failed))
    else:
        write_text(_("A run would work. See what it would do: stopcast run LIST --dry-run"))
