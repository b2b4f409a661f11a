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


def note_of(error: StopcastError, options: Options) -> str | None:
    """Return what the user should do about the error."""
    match error:
        case TooManyFailuresError():
            return (
                f"Look at the lines of {options.report.path} whose status is failed or gave_up. --resume sends the "
                f"gave_up tasks again. To send the failed tasks again too, run the report itself as a list."
            )
        case CredentialsRefusedError() | ClockRefusedError() | EndpointError() | UnansweredError():
            return f"To see the cause and how to fix it:\n  {doctor_command(options)}"
        case _:
            return None
