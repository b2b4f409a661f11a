"""The account's key as a state machine: what calls are signed with, and what the API has said of it.

UNPROVEN --accepted--> PROVEN
UNPROVEN, PROVEN, REFUSED --refused, and another key may help--> RENEWING --renewed--> UNPROVEN
UNPROVEN, PROVEN --refused--> REFUSED --accepted--> PROVEN
REFUSED --refused for the third time in a row--> DEAD
RENEWING --no other key is to be had--> DEAD
DEAD --retried--> ON_TRIAL --accepted--> PROVEN
ON_TRIAL --refused--> DEAD
"""

from __future__ import annotations

import asyncio
from copy import copy
from enum import Enum
from typing import Final

from stopcast.api.signing import Signer
from stopcast.errors import StopcastError


class KeyState(Enum):
    """What is known of the key."""

    UNPROVEN = "no answer has accepted it yet"
    PROVEN = "an answer has accepted it"
    REFUSED = "the last answers refused it, or the account's rights"
    RENEWING = "it was refused, and another one is being fetched"
    DEAD = "it was refused for good"
    ON_TRIAL = "it was refused for good, and one call at a time tries it again"


#: States in which an accepted call changes nothing. A tuple, because each good call asks: a set would hash the state,
#: and the hash of an Enum's member is Python code.
_NOTHING_TO_PROVE: Final = (KeyState.PROVEN, KeyState.RENEWING, KeyState.DEAD)


#: States in which no call is signed.
_NOT_USABLE: Final = (KeyState.RENEWING, KeyState.DEAD)


class Key:
    """The key of one account.

    Args:
        signer: signs calls with it.
        renewable: whether another key can be fetched.

    Attributes:
        state: what is known of it.
        refusals: answers in a row that refused it.
        replaces_refused: whether it took the place of a refused key, and no answer has accepted it yet.
        was_proven: whether an answer has ever accepted it, whatever the last ones said.
        error: why it is dead or on trial, None while it is neither.
    """

    def __init__(self, signer: Signer, *, renewable: bool) -> None:
        self.state = KeyState.UNPROVEN
        self.renewable = renewable
        self.refusals = 0
        self.replaces_refused = False
        self.was_proven = False
        self.error: StopcastError | None = None
        self._signer = signer
        self._renewed = asyncio.Event()

    def current(self) -> Signer:
        """Return what signs a call now."""
        return self._signer

    @property
    def usable(self) -> bool:
        """Whether calls may be signed with it now."""
        return self.state not in _NOT_USABLE

    async def wait(self) -> None:
        """Return when calls may be signed.

        Raises:
            StopcastError: the key is dead.
        """
        if self.state is KeyState.RENEWING:
            await self._renewed.wait()
        if self.state is KeyState.DEAD and self.error is not None:
            raise self.error

    def accepted(self) -> bool:
        """Record an answer that only an accepted key can bring, and return whether calls had ended for good before."""
        if self.state in _NOTHING_TO_PROVE:
            return False
        had_died = self.error is not None
        self.state = KeyState.PROVEN
        self.was_proven = True
        self.refusals = 0
        self.replaces_refused = False
        self.error = None
        return had_died

    def refused(self) -> None:
        """Record a refusal that no other key would undo, or not the last one in a row."""
        if self.usable:
            self.state = KeyState.REFUSED
            self.refusals += 1

    def renew(self) -> None:
        """Sign no call until there is another key."""
        self.state = KeyState.RENEWING
        self._renewed.clear()

    def renewed(self, signer: Signer) -> None:
        """Sign with another key from now on."""
        replaces_refused = self.state is KeyState.RENEWING
        self._signer = signer
        if replaces_refused:
            self.state = KeyState.UNPROVEN
            self.was_proven = False
            self.refusals = 0
            self.replaces_refused = True
            self._renewed.set()

    def died(self, error: StopcastError) -> None:
        """Sign no call any more."""
        self.state = KeyState.DEAD
        self.error = error
        self._renewed.set()

    def retried(self) -> None:
        """Try a dead key again."""
        self.state = KeyState.ON_TRIAL
        self.refusals = 0
        self.replaces_refused = False
        # Another object: answers to calls that were signed before its death say nothing about it.
        self._signer = copy(self._signer)
