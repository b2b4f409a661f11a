"""The totals of a report and of a run. Nothing is read or written here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from stopcast.tasks.outcome import ASKED, STOPPED, Status


@dataclass(frozen=True, slots=True)
class AccountFigures:
    """The calls of a run for one of several accounts: their number, the most in any second, and the mean per second.

    ``given_up`` says why its calls ended early, None where they did not.
    """

    calls: int
    worst_second: int
    mean_per_second: float
    given_up: str | None = None


@dataclass(slots=True)
class Summary:
    """The rows of the whole report by status, and what the present run did for it.

    Attributes:
        statuses: lines of the report by status.
        calls: attempts of this run in which a call went out.
        unsent: attempts of this run, for rows with a line, that had no connection.
        worst_second: the most calls of this run in any sliding second, as the limiter admitted them. With several
            accounts, that of the account with the most, because each has its own cap.
        mean_per_second: calls a second of this run, from its first call to its last.
        seconds: from the run's start to its end.
        settled_earlier: rows of the lists that the report had settled before this run.
        left_out: rows of the lists that are lines of an earlier report and need nothing more.
        not_chosen: those of them that only have another status than ``--only`` names.
        too_old: rows of the lists that are lines of a report and older than the API remembers.
        asked: whether the run asked about the tasks, and did not stop them.
        not_finished: tasks that were read and have no line, because the run ended early.
        accounts: of a run over several accounts, each account's figures.
    """

    statuses: Counter[Status] = field(default_factory=Counter)
    calls: int = 0
    unsent: int = 0
    worst_second: int = 0
    mean_per_second: float = 0.0
    seconds: float = 0.0
    settled_earlier: int = 0
    left_out: int = 0
    not_chosen: int = 0
    too_old: int = 0
    asked: bool = False
    not_finished: int = 0
    accounts: Mapping[str, AccountFigures] = field(default_factory=dict)

    @property
    def good(self) -> int:
        """Rows that need no attention."""
        return sum(number for status, number in self.statuses.items() if status.good)

    @property
    def bad(self) -> int:
        """Rows that are not known to be stopped."""
        return self.statuses.total() - self.good

    def as_json(self) -> dict[str, Any]:
        """Return the summary as the object that ``--json`` prints."""
        summary: dict[str, Any] = {
            "rows": self.statuses.total(),
            "good": self.good,
            "bad": self.bad,
            "statuses": statuses_as_json(self.statuses, asked=self.asked),
            "calls": self.calls,
            "unsent": self.unsent,
            "worst_second": self.worst_second,
            "mean_per_second": round(self.mean_per_second, 2),
            "seconds": round(self.seconds, 3),
            "settled_earlier": self.settled_earlier,
            "left_out": self.left_out,
            "not_chosen": self.not_chosen,
            "too_old": self.too_old,
            "not_finished": self.not_finished,
        }
        if self.accounts:
            summary["accounts"] = {
                name: {**asdict(figures), "mean_per_second": round(figures.mean_per_second, 2)}
                for name, figures in self.accounts.items()
            }
        return summary


def statuses_as_json(statuses: Counter[Status], *, asked: bool = False) -> dict[str, int]:
    """Return rows by status: every status that such a report may hold is there, with 0 where it is none.

    Statuses of the other kind of report are left out: "still_running": 0 would be an answer to a question that was
    not asked.
    """
    never = STOPPED | {Status.EXCLUDED} if asked or statuses.keys() & ASKED else ASKED
    return {status.value: statuses[status] for status in Status if status not in never or statuses[status]}
