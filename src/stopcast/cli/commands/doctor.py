"""``stopcast doctor``: what it looks at, and how it tells."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from stopcast.cli.log_output import report_errors
from stopcast.cli.options.option import Number, option

if TYPE_CHECKING:
    from stopcast.doctor.findings import Finding, Patient


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@option(
    "-o",
    "--report",
    type=click.Path(readable=False),
    default="stopcast-report.jsonl",
    show_default=True,
    metavar="PATH",
    help="The report to come.",
)
@option("--endpoint", metavar="URL", help="Where the calls go. Plain http only to loopback.")
@option("--region", metavar="R", help="The region that signatures name.")
@option("--api-version", metavar="V", default="2020-12-01", show_default=True, help="Of the API.")
@option("--app-id", metavar="APPID", help="Ask as well whether this AppId is the account's, by a call that only reads.")
@option(
    "--timeout", type=Number(0, min_open=True), default=10, show_default=True, metavar="SECONDS", help="For each step."
)
@option("--json", "as_json", is_flag=True, help="As one JSON object.")
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
    """Find out whether a run would work from here, and what to mend.

    Looks at the credentials (every place they may be in; nothing secret is shown), the way to the API, its clock and
    this machine's, whether the API takes the key, and whether the report has room. To learn the latter but one it calls
    StopWebcast once, for a task whose ids hold spaces: no task can be called that, so nothing can be stopped.

    Exit status: 0 a run would work; 2 wrong usage; 3 something has to be mended first.
    """
    import os
    from functools import partial
    from pathlib import Path

    from stopcast.api.endpoint import DEFAULT_ENDPOINT, Endpoint
    from stopcast.cli.output import EXIT_GIVEN_UP, EXIT_GOOD
    from stopcast.cli.running import wakeup
    from stopcast.credentials.chain import home_directory, list_sources
    from stopcast.doctor.findings import Patient, State
    from stopcast.errors import ConfigurationError
    from stopcast.tasks.task import ID_PATTERN

    if app_id is not None and not ID_PATTERN.fullmatch(app_id):
        raise ConfigurationError(f"--app-id {app_id!r}: letters, digits, _ @ - and . are what an AppId may hold")
    place = partial(Endpoint.parse, endpoint or DEFAULT_ENDPOINT, region=region, version=api_version)
    place()  # what is wrong with an option is wrong usage, and nothing to examine
    patient = Patient(
        places=list_sources(environ=os.environ, home=home_directory()),
        endpoint=lambda key_region: place(key_region=key_region),
        report=Path(report),
        app_id=app_id,
        timeout_seconds=timeout,
    )
    findings = wakeup.run(_examined(patient, show=not as_json))
    failed = [it for it in findings if it.state is State.FAILED]
    _conclude(findings, len(failed), as_json=as_json)
    sys.exit(EXIT_GIVEN_UP if failed else EXIT_GOOD)


async def _examined(patient: Patient, *, show: bool) -> list[Finding]:
    from stopcast.cli.output import write_stdout
    from stopcast.doctor.examination import examine

    findings = []
    async for finding in examine(patient):
        findings.append(finding)
        if show:
            write_stdout(_told(finding))
    return findings


def _told(finding: Finding) -> str:
    from stopcast.doctor.findings import State
    from stopcast.i18n import visible

    marks = {State.OK: "ok", State.WARNING: "warning", State.FAILED: "FAILED", State.NOT_TRIED: "-"}
    told = [f"{marks[finding.state]:8} {finding.part}: {finding.words}"]
    told += [f"{'':11}{line}" for line in finding.details]
    if finding.advice:
        told.append(f"{'':9}> {finding.advice}")
    return "\n".join(map(visible, told))


def _conclude(findings: list[Finding], failed: int, *, as_json: bool) -> None:
    import orjson

    from stopcast.cli.output import write_stdout

    if as_json:
        write_stdout(orjson.dumps({"good": not failed, "findings": [finding._asdict() for finding in findings]}))
    elif failed:
        write_stdout(f"{failed} to mend before a run.")
    else:
        write_stdout("A run would work: see what it would do with stopcast run LIST --dry-run")
