"""The options of the commands: six groups, each a value beside the declarations of its options."""

from __future__ import annotations

from dataclasses import dataclass, field

from stopcast.cli.options.calls import CallOptions
from stopcast.cli.options.guards import GuardOptions
from stopcast.cli.options.lists import ListOptions
from stopcast.cli.options.output import MetricsOptions, OutputOptions, ReportOptions

__all__ = (
    "CallOptions",
    "GuardOptions",
    "ListOptions",
    "MetricsOptions",
    "Options",
    "OutputOptions",
    "ReportOptions",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All options of a command that makes calls. A group that the command does not have holds its defaults."""

    lists: ListOptions
    calls: CallOptions = field(default_factory=CallOptions)
    report: ReportOptions = field(default_factory=ReportOptions)
    guards: GuardOptions = field(default_factory=GuardOptions)
    output: OutputOptions = field(default_factory=OutputOptions)
    metrics: MetricsOptions = field(default_factory=MetricsOptions)
