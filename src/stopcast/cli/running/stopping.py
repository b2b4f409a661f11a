"""The job of ``stopcast run``."""

from __future__ import annotations

from functools import partial

from stopcast.cli.lists import Lists
from stopcast.cli.options import Options
from stopcast.cli.running.checks import check_verify_report
from stopcast.cli.running.job import RunJob
from stopcast.cli.running.verification import verification_of
from stopcast.stopper import Stopper


def stop_job(options: Options, *, verify_after_seconds: float | None = None) -> RunJob:
    """Return the job that stops the tasks of the lists, and then verifies that they have ended, unless that is None.

    Raises:
        ConfigurationError: wrong usage of the lists, or the report cannot be verified.
        ListError: a list does not exist or cannot be read.
        ReportExistsError: the verification's report exists.
    """
    lists = Lists.of(options.lists, report=options.report.path, rehearsals=options.calls.sandbox)
    if verify_after_seconds is not None:
        check_verify_report(options.report)
    return RunJob(
        calls=Stopper,
        options=options,
        lists=lists,
        rows=lambda _run: lists.batches(),
        ask=True,
        verification=None if verify_after_seconds is None else partial(verification_of, options),
        verify_after_seconds=verify_after_seconds or 0.0,
    )
