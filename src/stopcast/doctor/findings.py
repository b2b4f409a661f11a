"""What the doctor is given to check, and what it finds. Nothing here makes a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from stopcast.api.endpoint import Endpoint
from stopcast.credentials.places import CredentialSource


class FindingState(StrEnum):
    """The result of one check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_TRIED = "not tried"


class Finding(NamedTuple):
    """The finding of one check.

    Attributes:
        part: what was checked.
        state: the result.
        words: what was found, without any secret.
        advice: what to do about it; "" if nothing.
        details: how it was found, line by line.
    """

    part: str
    state: FindingState
    words: str
    advice: str = ""
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """What is to be checked.

    Attributes:
        places: where credentials may be, with what each place holds.
        endpoint: returns where the calls go, given the region that the credentials name, None for none.
        report: the report that the run would write.
        app_id: an AppId to ask about, None for none.
        timeout_seconds: for each step.
    """

    places: Sequence[CredentialSource]
    endpoint: Callable[[str | None], Endpoint]
    report: Path
    app_id: str | None = None
    timeout_seconds: float = 10.0
