"""The options that say where the metrics are found."""

from __future__ import annotations

from dataclasses import dataclass

from stopcast.cli.options.option import Whole, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsOptions:
    """Where the metrics are found. ``port`` and ``file`` are None where there is none."""

    port: int | None = setting(
        "--metrics-port", type=Whole(0, 65535), metavar="N", help="Serve metrics for Prometheus at this port."
    )
    host: str = setting(
        "--metrics-host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="The address of that port."
    )
    file: str | None = setting(
        "--metrics-file", metavar="PATH", help="Write metrics for node exporter's textfile collector."
    )
