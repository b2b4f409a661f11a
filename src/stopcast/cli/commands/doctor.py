"""``stopcast doctor``: its options, and the form in which findings are printed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from stopcast.cli.log_output import report_errors
from stopcast.cli.options.option import Number, option

if TYPE_CHECKING:
    from stopcast.doctor import Checkup, Finding


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@option(
    "-o",
    "--report",
    type=click.Path(readable=False),
    default="stopcast-report.jsonl",
    show_default=True,
    metavar="PATH",
    help="The report that the run would write.",
)
@option("--endpoint", metavar="URL", help="The address of the API. Plain http only to loopback.")
@option("--region", metavar="R", help="The region in signatures.")
@option("--api-version", metavar="V", default="2020-12-01", show_default=True, help="The version of the API.")
@option(
    "--app-id", metavar="APPID", help="Also check that this AppId belongs to the account, by a call that only reads."
)
@option(
    "--timeout",
    type=Number(0, min_open=True),
    default=10,
    show_default=True,
    metavar="SECONDS",
    help="The time limit of each step.",
)
@option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@report_errors
def doctor(
    *,
    report: str,
    endpoint: str | None,
    region: str | None,
    api_version: str,
    app_id: str | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Check whether a run would work from here, and say what to fix.

    Checks the credentials (in every place where they may be; no secret is shown), the connection to the API, this
    machine's clock against the API's, whether the API accepts the key, and whether the report has room. To test the key
    it calls StopWebcast once, with ids that cannot exist: they contain spaces, so nothing can be stopped.

    Exit status: 0 a run would work; 2 wrong usage; 3 something must be fixed first.
    """
    import os
    from functools import partial
    from pathlib import Path

    from stopcast.api.endpoint import DEFAULT_ENDPOINT, Endpoint
    from stopcast.cli.output import EXIT_GIVEN_UP, EXIT_GOOD
    from stopcast.cli.running import wakeup
    from stopcast.credentials.chain import home_directory, list_sources
    from stopcast.doctor import Checkup, FindingState
    from stopcast.errors import ConfigurationError
    from stopcast.tasks.task import ID_PATTERN

    if app_id is not None and not ID_PATTERN.fullmatch(app_id):
        raise ConfigurationError(f"--app-id {app_id!r}: an AppId may contain letters, digits, _ @ - and . only")
    place = partial(Endpoint.parse, endpoint or DEFAULT_ENDPOINT, region=region, version=api_version)
    place()  # a wrong option is wrong usage, not a finding
    checkup = Checkup(
        places=list_sources(environ=os.environ, home=home_directory()),
        endpoint=lambda key_region: place(key_region=key_region),
        report=Path(report),
        app_id=app_id,
        timeout_seconds=timeout,
    )
    findings = wakeup.run(_examine(checkup, show=not as_json))
    failed = [finding for finding in findings if finding.state is FindingState.FAILED]
    _print_conclusion(findings, len(failed), as_json=as_json)
    sys.exit(EXIT_GIVEN_UP if failed else EXIT_GOOD)


async def _examine(checkup: Checkup, *, show: bool) -> list[Finding]:
    from stopcast.cli.output import write_stdout
    from stopcast.doctor import examine

    findings = []
    async for finding in examine(checkup):
        findings.append(finding)
        if show:
            write_stdout(_text(finding))
    return findings


def _text(finding: Finding) -> str:
    from stopcast.doctor import FindingState
    from stopcast.i18n import visible

    marks = {
        FindingState.OK: "ok",
        FindingState.WARNING: "warning",
        FindingState.FAILED: "FAILED",
        FindingState.NOT_TRIED: "-",
    }
    lines = [f"{marks[finding.state]:8} {finding.part}: {finding.words}"]
    lines += [f"{'':11}{line}" for line in finding.details]
    if finding.advice:
        lines.append(f"{'':9}> {finding.advice}")
    return "\n".join(map(visible, lines))


def _print_conclusion(findings: list[Finding], failed: int, *, as_json: bool) -> None:
    import orjson

    from stopcast.cli.output import write_stdout

    if as_json:
        write_stdout(orjson.dumps({"good": not failed, "findings": [finding._asdict() for finding in findings]}))
    elif failed:
        write_stdout(f"{failed} problem{'' if failed == 1 else 's'} to fix before a run.")
    else:
        write_stdout("A run would work. See what it would do: stopcast run LIST --dry-run")
