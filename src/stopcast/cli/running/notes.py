"""What a user should do about an error that ended a run."""

from __future__ import annotations

from stopcast.cli.display.next_commands import doctor_command
from stopcast.cli.options import Options
from stopcast.errors import (
    ClockRefusedError,
    CredentialsRefusedError,
    EndpointError,
    StopcastError,
    TooManyFailuresError,
    UnansweredError,
)
from stopcast.i18n import _


def note_of(error: StopcastError, options: Options) -> str | None:
    """Return what the user should do about the error."""
    match error:
        case TooManyFailuresError():
            return _(
                "Look at the lines of {report} whose status is failed or gave_up. --resume sends the gave_up tasks "
                "again. To send the failed tasks again too, run the report itself as a list.",
                report=options.report.path,
            )
        case CredentialsRefusedError() | ClockRefusedError() | EndpointError() | UnansweredError():
            return _("To see the cause and how to fix it:\n  {command}", command=doctor_command(options))
        case _:
            return None
