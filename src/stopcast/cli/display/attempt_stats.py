"""Counts what the attempts of a run come to, and the errors by their codes. Nothing here prints."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from stopcast.api.meanings import without_code
from stopcast.events import (
    AppSetAside,
    AttemptFinished,
    Event,
    QuotaFound,
    QuotaLost,
    RetryPlanned,
    TaskFinished,
    Throttled,
)
from stopcast.tasks.outcome import Status

#: The latency percentiles are those of this many calls, the latest.
_LATENCIES: Final = 500
#: At most this many codes are counted, because codes come from outside.
_CODES: Final = 100
_GOOD_VERDICTS: Final = frozenset({"ok", "no_such_task"})
#: After these a task is not tried again.
_FINAL: Final = frozenset({"task", "application", "account", "unknown_account"})


class ErrorCount(NamedTuple):
    """The answers with one error code.

    Attributes:
        code: of the API, or what replaces it: "HTTP 502", "no answer", "no connection".
        number: of answers.
        message: of the latest answer.
        last_at: Unix time of the latest answer.
        retried: whether a task with this code is tried again.
    """

    code: str
    number: int
    message: str
    last_at: float
    retried: bool = True


class AttemptStats:
    """Counts what the attempts of a run come to. ``observe`` is the observer.

    Attributes:
        retries: attempts that were followed by another.
        throttled: answers that said "too many calls".
        latencies: of the latest calls, in seconds, from the permit to the end of the answer.
        errors: by code; the code of the latest answer is last.
        answers: attempts that the API answered.
        no_such_task: answers that said that there is no such running task.
        presumed_stopped: those of them about a task that an attempt of this or an earlier run may have stopped.
        refused_apps: the AppIds that the API refused for good.
        quota_away: whether the Redis of the shared quota is away.
    """

    def __init__(self) -> None:
        self.answers = 0
        self.no_such_task = self.presumed_stopped = 0
        self.refused_apps: set[str] = set()
        self.quota_away = False
        self.retries = 0
        self.throttled = 0
        self.latencies: deque[float] = deque(maxlen=_LATENCIES)
        self.errors: dict[str, ErrorCount] = {}

    def observe(self, event: Event) -> None:
        """Count an event."""
        match event:
            case AttemptFinished():
                self._count_attempt(event)
            case TaskFinished():
                self.presumed_stopped += event.outcome.status is Status.PRESUMED_STOPPED
            case RetryPlanned():
                self.retries += 1
            case Throttled():
                self.throttled += 1
            case QuotaLost() | QuotaFound():
                self.quota_away = isinstance(event, QuotaLost)
            case AppSetAside():
                self.refused_apps.add(event.app_id)

    def _count_attempt(self, attempt: AttemptFinished) -> None:
        if attempt.sent:
            self.latencies.append(attempt.answer_seconds)
        if attempt.http_status is not None:
            self.answers += 1
            self.no_such_task += attempt.verdict == "no_such_task"
        if attempt.verdict not in _GOOD_VERDICTS:
            self._count_error(attempt)

    def _count_error(self, attempt: AttemptFinished) -> None:
        code = attempt.code or without_code(attempt.http_status, sent=attempt.sent)
        before = self.errors.pop(code, None)
        number = before.number + 1 if before else 1
        self.errors[code] = ErrorCount(
            code, number, attempt.message or "", attempt.finished_at, attempt.verdict not in _FINAL
        )
        if len(self.errors) > _CODES:
            del self.errors[next(iter(self.errors))]
