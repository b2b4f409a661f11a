"""What the answers have shown of one account: its key, its clock, and the AppIds that it must leave out."""

from __future__ import annotations

from typing import Final

from stopcast.api.answers import Reply
from stopcast.api.verdict import Verdict
from stopcast.engine.decisions import AccountState, code_of
from stopcast.engine.key import Key

#: AppIds that may be under suspicion. A list may hold any number of them.
_MOST_SUSPECTS: Final = 1000


class Account:
    """One account's state. All its calls share it: what one answer says of the account holds for the others.

    Attributes:
        key: what calls are signed with.
        action: the name of the action that the account needs the right to.
        clock_offset: seconds that are added to the time of this machine in a signature.
        set_aside: the refusal of each AppId that no call is made for.
    """

    def __init__(self, key: Key, *, action: str) -> None:
        self.key = key
        self.clock_offset = 0.0
        self.set_aside: dict[str, Reply] = {}
        self.action = action
        self._clock_corrected = False
        self._unknown_code: str | None = None
        self._unknown_refusals = 0
        self._suspects: dict[str, bool] = {}

    @property
    def state(self) -> AccountState:
        """The state, as decisions need it."""
        key = self.key
        return AccountState(
            action=self.action,
            key=key.state,
            refusals=key.refusals,
            renewable=key.renewable,
            replaces_refused=key.replaces_refused,
            clock_offset=self.clock_offset,
            clock_corrected=self._clock_corrected,
            unknown_code=self._unknown_code,
            unknown_refusals=self._unknown_refusals,
            suspects=self._suspects,
        )

    def accepted(self, app_id: str) -> bool:
        """Record an answer that only an accepted key, and an accepted time, can bring.

        Returns:
            Whether calls had ended for good before, because the key was refused.
        """
        had_died = self.key.accepted()
        self._clock_corrected = False
        self._unknown_code = None
        if self._suspects:
            self._suspects.pop(app_id, None)
            for suspect in self._suspects:
                self._suspects[suspect] = True
        return had_died

    def refused(self, verdict: Verdict, app_id: str, reply: Reply) -> None:
        """Record a refusal whose code is not in the table, or one of the account."""
        if verdict is Verdict.UNKNOWN_REFUSAL:
            code = code_of(reply)
            self._unknown_refusals = self._unknown_refusals + 1 if code == self._unknown_code else 1
            self._unknown_code = code
            return
        self.key.refused()
        if verdict is Verdict.UNKNOWN_ACCOUNT and len(self._suspects) < _MOST_SUSPECTS:
            self._suspects.setdefault(app_id, False)

    def leave_out(self, app_id: str, reply: Reply) -> bool:
        """Make no call for this AppId any more, and return whether that is new."""
        if app_id in self.set_aside:
            return False
        self.set_aside[app_id] = reply
        return True

    def correct_clock(self, offset_seconds: float) -> None:
        """Sign with this offset from now on."""
        self.clock_offset = offset_seconds
        self._clock_corrected = True
