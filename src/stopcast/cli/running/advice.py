"""What a user should do after a run that did not go well, beside continuing it: the advice on each error."""

from __future__ import annotations

from stopcast.cli.display.next_commands import doctor_command, run_again_command, summary_command
from stopcast.cli.options import Options
from stopcast.errors import (
    AppsRefusedError,
    CanaryError,
    ClockRefusedError,
    CredentialsRefusedError,
    EndpointError,
    StopcastError,
    TooManyFailuresError,
    UnansweredError,
    UnknownRefusalsError,
)
from stopcast.i18n import _


def advice_on(error: StopcastError | None, options: Options, *, has_report: bool) -> str | None:
    """Return what the user should do about the error that ended a run, or about its rows that are not good.

    Args:
        error: what ended the run early.
        options: of the command.
        has_report: whether the report's name is still that of the file with the run's lines.
    """
    report = options.report.path
    match error:
        case CredentialsRefusedError() | ClockRefusedError() | EndpointError() | UnansweredError():
            return _("To see the cause and how to fix it:\n  {command}", command=doctor_command(options))
        case _ if not has_report:
            return None
        case TooManyFailuresError() if not isinstance(error, CanaryError):
            return _(
                "To see what went wrong, and what to do:\n  {summary}\n--resume does not send failed tasks again. To "
                "send them again too, run the report as a list:\n  {run}",
                summary=summary_command(report),
                run=run_again_command(options),
            )
        case None | CanaryError() | AppsRefusedError() | UnknownRefusalsError():
            return _("To see what went wrong, and what to do:\n  {command}", command=summary_command(report))
        case _:
            return None
