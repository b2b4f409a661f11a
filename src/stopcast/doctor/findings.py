"""What the doctor looks at, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from stopcast.api.endpoint import Endpoint
from stopcast.credentials.places import CredentialSource


class State(StrEnum):
    """How a part was found."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_TRIED = "not tried"


class Finding(NamedTuple):
    """What was found of one part.

    Attributes:
        part: its name.
        state: the word for it.
        words: what was found, without any secret.
        advice: what to do; "" where nothing is to be done.
        details: what it was found from, line by line.
    """

    part: str
    state: State
    words: str
    advice: str = ""
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is looked at.

    Attributes:
        places: where credentials may be, each as it was found.
        endpoint: makes the place where the calls go, once it is known whether credentials bring a region.
        report: the report of the run to come.
        app_id: to ask about as well, None for none.
        timeout_seconds: for each step.
    """

    places: Sequence[CredentialSource]
    endpoint: Callable[[str | None], Endpoint]
    report: Path
    app_id: str | None = None
    timeout_seconds: float = 10.0
