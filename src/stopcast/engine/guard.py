"""What the answers say of the account, of an AppId and of the clock: when to stop, and what to leave out."""

from __future__ import annotations

from typing import Final

from stopcast.api import Reply
from stopcast.errors import ClockRefusedError, CredentialsRefusedError

#: Refusals of the account in a row, with no other answer between them, after which no further call is made.
_REFUSALS: Final = 3


class Guard:
    """Remembers refusals that are about more than one task.

    Args:
        action: that an account needs the right to.

    Attributes:
        set_aside: AppIds refused for good.
    """

    def __init__(self, action: str) -> None:
        self._action = action
        self.set_aside: set[str] = set()
        self._refusals = 0
        self._clock_unproven = False

    def accepted(self) -> None:
        """Take note of an answer that only an accepted key and clock can bring."""
        self._refusals = 0
        self._clock_unproven = False

    def account_refused(self, reply: Reply) -> None:
        """Take note of a refusal of the account.

        Raises:
            CredentialsRefusedError: that was one too many.
        """
        self._refusals += 1
        if self._refusals >= _REFUSALS:
            raise CredentialsRefusedError(
                f"the API refuses the account's calls: {reply.code or reply.code_number}: "
                f"{reply.message or 'no message'} (request {reply.request_id}). Check the access key, its secret, "
                f"its rights for {self._action}, and the region"
            )

    def clock_refused(self, reply: Reply, *, now: float, signed_offset: float, offset: float) -> float:
        """Return the offset to sign with from now on: the server's Date less the Unix time ``now``.

        Calls that were in flight together are refused together; only the first of them corrects anything.

        Raises:
            ClockRefusedError: no Date to correct by, or the corrected time is refused as well.
        """
        if signed_offset != offset:
            return offset
        if reply.server_time is None or self._clock_unproven:
            raise ClockRefusedError(
                f"the API refuses the request's time: {reply.message or reply.code} (request {reply.request_id}). "
                f"Set this machine's clock"
            )
        self._clock_unproven = True
        return reply.server_time - now
