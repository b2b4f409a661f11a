"""Watches what the API answers to a run: nothing at all, or "no such running task" to everything."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from stopcast.accounts.router import Router
from stopcast.cli.display.attempt_stats import AttemptStats
from stopcast.cli.output import log
from stopcast.errors import AppsRefusedError, UnansweredError
from stopcast.i18n import _, duration
from stopcast.run import Run
from stopcast.stopper.task_calls import TaskCalls

_LOOK_EVERY_SECONDS: Final = 1.0
#: Without any answer for this long, a warning says so.
_WARN_AFTER_SECONDS: Final = 15.0
#: If these are all "no such running task", the list may be another account's or another region's.
_SUSPICIOUS_ANSWERS: Final = 100


class AnswerWatch:
    """Watches the answers to a run's calls while its ``watch`` runs.

    Args:
        run: is ended when nothing was answered for too long.
        stopper: makes its calls.
        attempts: counts them.
        give_up_seconds: how long the API may answer nothing at all, 0 for no limit.
    """

    def __init__(
        self, run: Run, stopper: TaskCalls | Router, attempts: AttemptStats, *, give_up_seconds: float
    ) -> None:
        self._run = run
        self._stopper = stopper
        self._attempts = attempts
        self._give_up_seconds = give_up_seconds
        self._unanswered_seconds = 0.0
        self._warned_of_silence = self._warned_of_ids = False

    async def watch(self) -> None:
        """Look at the answers every second."""
        loop = asyncio.get_running_loop()
        before = loop.time()
        while True:
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
            # Time in which this process stood still is no silence of the API's.
            self._look(min(loop.time() - before, 2 * _LOOK_EVERY_SECONDS))
            before = loop.time()

    def _look(self, seconds: float) -> None:
        attempts = self._attempts
        if attempts.answers:
            if attempts.answers >= _SUSPICIOUS_ANSWERS:
                self.warn_of_ids()
        elif attempts.errors and not self._stopper.paused:
            self._unanswered_seconds += seconds
            self._judge_silence(next(reversed(attempts.errors.values())).message)

    def _judge_silence(self, error: str) -> None:
        silence = self._unanswered_seconds
        if silence >= _WARN_AFTER_SECONDS and not self._warned_of_silence:
            self._warned_of_silence = True
            text = _("stopcast: the API has not answered any call so far: {error}", error=error)
            log(text, event="no_answer", level=logging.WARNING, error=error)
        if 0 < self._give_up_seconds <= silence and self._run.ending is None:
            self._run.end(
                UnansweredError(
                    _(
                        "the API did not answer any call within {duration} (--give-up-unanswered): {error}",
                        duration=duration(self._give_up_seconds),
                        error=error,
                    )
                )
            )

    @property
    def no_such_task_only(self) -> bool:
        """Whether all answers so far were that there is no such running task, and none was to be expected."""
        attempts = self._attempts
        return attempts.presumed_stopped < attempts.answers == attempts.no_such_task

    @property
    def all_apps_refused(self) -> AppsRefusedError | None:
        """The error for a run that ends because the API refused each AppId that had a task to stop."""
        apps = self._run.intake.per_app
        if not apps or not self._attempts.refused_apps.issuperset(apps):
            return None
        return AppsRefusedError(_("the API refused every AppId of the lists; their tasks are set aside"))

    def warn_of_ids(self) -> None:
        """Warn once if all answers so far were that there is no such running task."""
        attempts = self._attempts
        if self._warned_of_ids or not self.no_such_task_only:
            return
        self._warned_of_ids = True
        text = _(
            'stopcast: all {number:,} answers so far say "no such running task". Are these the right ids, the right '
            "account, the right region?",
            number=attempts.answers - attempts.presumed_stopped,
        )
        log(text, event="no_such_task_only", level=logging.WARNING, answers=attempts.answers)
