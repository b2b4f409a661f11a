"""What the answers say of the account, of an AppId and of the clock: when to stop, and what to leave out."""

from __future__ import annotations

from typing import Final

from stopcast.api.answers import Reply
from stopcast.errors import ClockRefusedError, CredentialsRefusedError

#: Refusals that other credentials may mend: the key is gone, the token has expired, the secret is another one.
_OF_THE_KEY: Final = frozenset({"InvalidAccessKey", "InvalidCredential", "InvalidSecretToken", "SignatureDoesNotMatch"})
_NUMBERS_OF_THE_KEY: Final = frozenset({100009, 100010, 100026})
#: What no answer has shown to be good yet: the key, one that replaced a refused key, the clock once it was corrected.
_KEY: Final = "key"
_NEW_KEY: Final = "new key"
_CLOCK: Final = "clock"
_NOTHING: Final[frozenset[str]] = frozenset()
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
        self._unproven = frozenset({_KEY})

    @property
    def key_proven(self) -> bool:
        """Whether the API has ever accepted the key, or the one before it."""
        return _KEY not in self._unproven

    def accepted(self) -> None:
        """Take note of an answer that only an accepted key and clock can bring."""
        self._refusals = 0
        self._unproven = _NOTHING

    def new_key_may_help(self, reply: Reply) -> bool:
        """Whether other credentials may mend a refusal. They are tried once; nothing is hoped of a third key."""
        if _NEW_KEY in self._unproven:
            return False
        return (reply.code or "").partition(".")[0] in _OF_THE_KEY or reply.code_number in _NUMBERS_OF_THE_KEY

    def key_replaced(self) -> None:
        """Take note that a refused key has been replaced."""
        self._refusals = 0
        self._unproven |= {_KEY, _NEW_KEY}

    def refused(self, reply: Reply, more: str = "") -> CredentialsRefusedError:
        """Return the error for an account that is refused, with what to mend."""
        return CredentialsRefusedError(
            f"the API refuses the account's calls: {reply.code or reply.code_number}: "
            f"{reply.message or 'no message'} (request {reply.request_id}). {more}Check the access key, its secret, "
            f"its rights for {self._action}, and the region"
        )

    def account_refused(self, reply: Reply) -> None:
        """Take note of a refusal of the account.

        Raises:
            CredentialsRefusedError: that was one too many.
        """
        self._refusals += 1
        if self._refusals >= _REFUSALS:
            raise self.refused(reply)

    def clock_refused(self, reply: Reply, *, now: float, signed_offset: float, offset: float) -> float:
        """Return the offset to sign with from now on: the server's Date less the Unix time ``now``.

        Calls that were in flight together are refused together; only the first of them corrects anything.

        Raises:
            ClockRefusedError: no Date to correct by, or the corrected time is refused as well.
        """
        if signed_offset != offset:
            return offset
        if reply.server_time is None or _CLOCK in self._unproven:
            raise ClockRefusedError(
                f"the API refuses the request's time: {reply.message or reply.code} (request {reply.request_id}). "
                f"Set this machine's clock"
            )
        self._unproven |= {_CLOCK}
        return reply.server_time - now
