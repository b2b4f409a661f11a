"""Reads what the summary keeps of a single line of a report. The values of a line may be of any type."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from stopcast.report.line import task_of
from stopcast.tasks.outcome import Status
from stopcast.tasks.task import Task

#: Longer texts are cut; an id has at most 128 characters.
_TEXT_LIMIT: Final = 500
#: How a message begins that says that there was no connection: the errors of aiohttp's connector.
_NO_CONNECTION: Final = ("ClientConnector", "ClientHttpProxyError", "ClientProxyConnection", "ConnectionTimeout")
#: The statuses that HTTP has.
HTTP_STATUSES: Final = range(100, 600)


class Place(NamedTuple):
    """Where a row stands: its list, and its line there."""

    source: str | None
    line: int | None

    def __str__(self) -> str:
        """Return ``list.csv:17``, or "" where it is unknown."""
        return "" if self.line is None else f"{self.source or ''}:{self.line}"


class Sample(NamedTuple):
    """An example of the lines with one reason; None for what the line does not have."""

    request_id: str | None
    message: str | None
    http_status: int | None


class ListedRow(NamedTuple):
    """A row that is not good, for the page's table."""

    task: Task
    status: Status
    reason: str | None
    message: str | None
    request_id: str | None
    place: Place


def sample_of(values: dict[str, Any]) -> Sample:
    """Return a line as an example of its reason."""
    http_status = values.get("http_status")
    return Sample(
        text_of(values.get("request_id")),
        text_of(values.get("message")),
        http_status if http_status in HTTP_STATUSES else None,
    )


def listed_row_of(values: dict[str, Any], reason: str | None) -> ListedRow:
    """Return a line as a row of the table."""
    return ListedRow(
        Task(*(part[:_TEXT_LIMIT] for part in task_of(values))),
        values["status"],
        reason,
        text_of(values.get("message")),
        text_of(values.get("request_id")),
        place_of(values),
    )


def place_of(values: dict[str, Any]) -> Place:
    """Return where the row of a line stands."""
    line = values.get("line")
    return Place(text_of(values.get("source")), line if isinstance(line, int) else None)


def attempts_of(values: dict[str, Any]) -> int:
    """Return how often a line's task was tried."""
    attempts = values.get("attempts")
    return attempts if isinstance(attempts, int) and attempts > 0 else 0


def unsent_of(values: dict[str, Any], attempts: int) -> int:
    """Return how many of a line's attempts had no connection, so that nothing was sent in them."""
    unsent = values.get("unsent")
    if isinstance(unsent, int):
        return min(max(unsent, 0), attempts)
    # Version 0.1 wrote no such key, but its message says that the last attempt was not sent; nor were those before it,
    # because an unanswered call that is sent leaves its task in doubt.
    message = text_of(values.get("message")) or ""
    unanswered = values.get("http_status") is None and values.get("in_doubt") is not True
    return attempts if unanswered and message.startswith(_NO_CONNECTION) else 0


def text_of(value: object) -> str | None:
    """Return a text, cut to its limit; None for an empty text and for any other type."""
    return value[:_TEXT_LIMIT] if isinstance(value, str) and value else None
