"""What the doctor is given to check, and what it finds. Nothing here makes a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from stopcast.api.endpoint import Endpoint
from stopcast.api.network import Network
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
class AccountToCheck:
    """One account.

    Attributes:
        name: the account's in an accounts file, "" for the account of a run without such a file.
        places: where its key may be, with what each place holds.
        endpoint: returns where its calls go, given the region that its key names, None for none.
    """

    name: str = ""
    places: Sequence[CredentialSource]
    endpoint: Callable[[str | None], Endpoint]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """What is to be checked.

    Attributes:
        accounts: those whose keys are checked.
        report: the report that the run would write.
        app_id: an AppId to ask about, None for none.
        app_account: the name of the account that claims this AppId, None if no account does.
        timeout_seconds: for each step.
        network: how connections to the API are made.
    """

    accounts: Sequence[AccountToCheck]
    report: Path
    app_id: str | None = None
    app_account: str | None = ""
    timeout_seconds: float = 10.0
    network: Network = field(default_factory=Network)
