"""What is kept of single lines, whatever they hold."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from stopcast.report.line import task_of
from stopcast.tasks.outcome import Status
from stopcast.tasks.task import Task

#: A kept row's texts are cut at this; ids are shorter.
_TEXT_LIMIT: Final = 500
#: What is a status of HTTP.
HTTP_STATUSES: Final = range(100, 600)


class Sample(NamedTuple):
    """One line with a certain reason; what it does not hold is None."""

    request_id: str | None
    message: str | None
    http_status: int | None


class Kept(NamedTuple):
    """A row that did not go well."""

    task: Task
    status: Status
    reason: str | None
    message: str | None
    request_id: str | None
    source: str | None
    line: int | None


def sample_of(values: dict[str, Any]) -> Sample:
    """Return what a line tells of its reason."""
    http_status = values.get("http_status")
    return Sample(
        text_of(values.get("request_id")),
        text_of(values.get("message")),
        http_status if http_status in HTTP_STATUSES else None,
    )


def kept_of(values: dict[str, Any], reason: str | None) -> Kept:
    """Return a line's row."""
    line = values.get("line")
    return Kept(
        Task(*(part[:_TEXT_LIMIT] for part in task_of(values))),
        values["status"],
        reason,
        text_of(values.get("message")),
        text_of(values.get("request_id")),
        text_of(values.get("source")),
        line if isinstance(line, int) else None,
    )


def text_of(value: object) -> str | None:
    """Return a text, cut; None for none and for what is no text."""
    return value[:_TEXT_LIMIT] if isinstance(value, str) and value else None
