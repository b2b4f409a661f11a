"""Broken machinery. What the API says of a single task is an Outcome, never one of these."""

from __future__ import annotations

from collections.abc import Mapping


class StopcastError(Exception):
    """The base of all that stopcast raises on its own account."""


class ConfigurationError(StopcastError):
    """An option, an endpoint or a setting that cannot be used as it is."""


class CredentialsNotFoundError(ConfigurationError):
    """No credentials in any of the places looked at; the message names each."""


class ListError(StopcastError):
    """A list that cannot be read, or cannot be read to its end."""


class ReportError(StopcastError):
    """A report that cannot be opened, read or written."""


class ReportExistsError(ReportError):
    """The report exists, and nobody said to go on with it."""


class ReportLockedError(ReportError):
    """Another run that still lives writes this report."""


class QueueError(StopcastError):
    """A queue that cannot be reached, or not be used."""


class HaltedError(StopcastError):
    """The calls were stopped because every further one would fail alike; the message says what to mend."""


class CredentialsRefusedError(HaltedError):
    """The API refuses the account's key, signature or rights."""


class CredentialsUnavailableError(HaltedError):
    """The credentials' provider gives none. What it raised is the ``__cause__``."""


class AccountsGivenUpError(HaltedError):
    """The calls of some accounts were given up; those of the others were not touched by it.

    Attributes:
        errors: why, by account.
    """

    def __init__(self, errors: Mapping[str, StopcastError]) -> None:
        super().__init__("\n".join(f"account {account}: {error}" for account, error in errors.items()))
        self.errors = dict(errors)


class ClockRefusedError(HaltedError):
    """The API refuses the request's time, even corrected by the server's own clock."""


class UnknownRefusalsError(HaltedError):
    """The API refused many tasks in a row with one code that is not known, so that it may refuse them all."""


class TooManyFailuresError(HaltedError):
    """More tasks ended badly than ``halt_after`` allows."""


class CanaryError(TooManyFailuresError):
    """One of the tasks that were to be sent alone, ahead of all others, did not end well."""


class EndpointError(HaltedError):
    """The endpoint's certificate, or what answers there, is not to be trusted."""


class QuotaLostError(StopcastError):
    """What keeps the shared quota cannot be asked.

    Attributes:
        refused: it answers, and refuses the login or the login's rights.
    """

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class ClosedError(StopcastError):
    """The Stopper is closed, or not yet open."""


class BackgroundTaskError(StopcastError):
    """A background task ended before it was asked to. What it raised is the ``__cause__``."""


class InterruptedRunError(StopcastError):
    """Somebody asked the run to end. What was in flight has had its say; ``--resume`` goes on.

    Attributes:
        signal_number: the signal that asked.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__("interrupted")
        self.signal_number = signal_number


class TimeIsUpError(StopcastError):
    """The run was to end by now. What was in flight has had its say; ``--resume`` goes on."""
