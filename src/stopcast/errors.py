"""The exceptions of stopcast. A task that the API refuses is an ``Outcome``, never an exception."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self


class StopcastError(Exception):
    """The base class of all exceptions that stopcast raises itself."""


class ConfigurationError(StopcastError):
    """An option, an endpoint or a setting cannot be used."""


class CredentialsNotFoundError(ConfigurationError):
    """No place has credentials. The message names each place that was searched."""


class ListError(StopcastError):
    """A list cannot be read, or cannot be read to its end."""


class ReportError(StopcastError):
    """A report cannot be opened, read or written."""


class ReportExistsError(ReportError):
    """The report exists, and ``--resume`` was not given."""


class ReportLockedError(ReportError):
    """Another run is still writing this report."""


class QueueError(StopcastError):
    """A queue cannot be reached, or cannot be used."""


class QueueDataLostError(QueueError):
    """The queue's tasks are gone from Redis: they have to be put in again."""


class HaltedError(StopcastError):
    """The calls ended because every further call would fail in the same way. The message says what to fix."""


class CredentialsRefusedError(HaltedError):
    """The API refuses the account's key, signature or rights."""


class CredentialsUnavailableError(HaltedError):
    """The credentials' provider returned no credentials. Its exception is the ``__cause__``."""


class AccountsGivenUpError(HaltedError):
    """The calls of some accounts ended early; the calls of the other accounts went on.

    Attributes:
        errors: the reason for each of those accounts.
    """

    def __init__(self, errors: Mapping[str, StopcastError]) -> None:
        super().__init__("\n".join(f"account {account}: {error}" for account, error in errors.items()))
        self.errors = dict(errors)

    def __reduce__(self) -> tuple[type[Self], tuple[dict[str, StopcastError]]]:
        """Let it be copied, and pickled for another process: it is not made of its message."""
        return type(self), (self.errors,)


class ClockRefusedError(HaltedError):
    """The API refuses the request's time, even after a correction by the server's own clock."""


class UnknownRefusalsError(HaltedError):
    """The API refused many tasks in a row with one code that is not known, so that it may refuse them all."""


class TooManyFailuresError(HaltedError):
    """More tasks ended badly than ``halt_after`` allows."""


class CanaryError(TooManyFailuresError):
    """A task of the canary did not end well. No task beyond the canary was sent."""


class EndpointError(HaltedError):
    """The endpoint's certificate, or the server that answers there, cannot be trusted."""


class AppsRefusedError(HaltedError):
    """The API refused every AppId that had tasks left to stop."""


class UnansweredError(HaltedError):
    """The API answered none of the calls for too long."""


class QuotaLostError(StopcastError):
    """The Redis of a shared quota cannot be used.

    Attributes:
        refused: whether Redis answers, but refuses the login or its rights.
    """

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class ClosedError(StopcastError):
    """The Stopper is closed, or has not been entered yet."""


class BackgroundTaskError(StopcastError):
    """A background task ended before it was asked to. Its exception is the ``__cause__``."""


class InterruptedRunError(StopcastError):
    """A signal ended the run. The calls in flight have finished, and ``--resume`` continues.

    Attributes:
        signal_number: the signal.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__("interrupted")
        self.signal_number = signal_number


class TimeIsUpError(StopcastError):
    """The time given by ``--until`` is reached. The calls in flight have finished, and ``--resume`` continues."""


#: Ends of the calls that somebody asked for. Nothing has failed.
ORDERED_ENDS: Final = (ClosedError, InterruptedRunError, TimeIsUpError)
