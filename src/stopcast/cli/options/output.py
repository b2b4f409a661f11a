"""The options that say what a command writes: its report, its messages, its metrics."""

from __future__ import annotations

from dataclasses import dataclass

import click

from stopcast.cli.options.option import FileName, Whole, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """The report."""

    path: str = setting(
        "-o",
        "--report",
        type=FileName(readable=False),
        default="stopcast-report.jsonl",
        metavar="PATH",
        help="The report.",
    )
    resume: bool = setting(
        "--resume", is_flag=True, help="Continue that report: rows that it settles are not sent again."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """What is printed."""

    as_json: bool = setting("--json", is_flag=True, help="The summary as one JSON object on standard output.")
    quiet: bool = setting("-q", "--quiet", is_flag=True, help="Log nothing but errors.")
    verbose: int = setting("-v", "--verbose", count=True, help="Log every retry; -vv every call and every task.")
    log_format: str = setting(
        "--log-format",
        type=click.Choice(("text", "json")),
        default="text",
        help="Of standard error.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsOptions:
    """Where the metrics are found. ``port`` and ``file`` are None where there is none."""

    port: int | None = setting(
        "--metrics-port", type=Whole(0, 65535), metavar="N", help="Serve metrics for Prometheus at this port."
    )
    host: str = setting("--metrics-host", default="127.0.0.1", metavar="ADDRESS", help="The address of that port.")
    file: str | None = setting(
        "--metrics-file",
        type=FileName(readable=False),
        metavar="PATH",
        help="Write metrics for node exporter's textfile collector.",
    )
