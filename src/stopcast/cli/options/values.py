"""The options of ``stopcast run`` and ``stopcast verify`` as one value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stopcast.engine.halting import HaltAfter


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of a command over lists, as the command line gave them; what it has not is as if not given."""

    tasks: tuple[str, ...]
    report: str
    resume: bool
    dry_run: bool = False
    form: str
    columns: str | None
    max_per_second: float
    raised_quota: bool
    arrival_jitter: float | None
    quota: str | None
    account: str | None
    quota_lost: int | None
    max_at_once: int
    max_attempts: int
    timeout: float
    grace: float
    halt_after: HaltAfter | None = None
    canary: int | None = None
    until: float | None = None
    control: Path | None = None
    limit: int | None
    expect: int | None = None
    only: str | None
    accounts: str | None
    endpoint: str | None
    region: str | None
    api_version: str
    sandbox: bool = False
    as_json: bool
    yes: bool = False
    verify: bool = False
    verify_after: float = 0.0
    quiet: bool
    verbose: int
    log_format: str = "text"
    metrics_port: int | None = None
    metrics_host: str = ""
    metrics_file: str | None = None
