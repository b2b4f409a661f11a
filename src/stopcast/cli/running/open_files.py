"""The limit on open files: each call in flight needs a socket. The limit is raised, or else the calls are bounded."""

from __future__ import annotations

import logging
import resource
from contextlib import suppress
from typing import Final

from stopcast.cli.event_loop import TOO_FEW_FILES
from stopcast.cli.output import log
from stopcast.errors import ConfigurationError
from stopcast.i18n import _
from stopcast.marking import N_

#: For the lists, the report, Redis, the metrics, and what Python keeps open.
_OTHER_FILES: Final = 64
_BOUNDED: Final = N_(
    "stopcast: the limit on open files is {limit}: at most {calls} calls in flight, and not {wanted}. The rate may "
    "stay below the cap. Raise the limit: ulimit -n {needed}"
)


def calls_within_limit(wanted: int, *, sockets_per_call: int, accounts: int) -> int:
    """Return how many calls of each account may be in flight. The soft limit on open files is raised where necessary.

    Args:
        wanted: calls of each account.
        sockets_per_call: of this process; a sandbox has both ends of each connection.
        accounts: their number.

    Raises:
        ConfigurationError: not even one call has room.
    """
    per_call = sockets_per_call * accounts
    needed = wanted * per_call + _OTHER_FILES
    limit = _raised_limit(needed)
    calls = (limit - _OTHER_FILES) // per_call
    if calls < 1:
        raise ConfigurationError(TOO_FEW_FILES.format(limit=limit))
    if calls >= wanted:
        return wanted
    text = _(_BOUNDED, limit=limit, calls=calls, wanted=wanted, needed=needed)
    log(text, event="calls_bounded", level=logging.WARNING, limit=limit, calls=calls)
    return calls


def _raised_limit(needed: int) -> int:
    """Return the limit on open files, raised to what is needed if the hard limit allows that."""
    soft, hard = (needed if each == resource.RLIM_INFINITY else each for each in _limits())
    if soft < needed:
        # macOS refuses more than it can open, whatever its hard limit says.
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), _limits()[1]))
            soft = min(needed, hard)
    return soft


def _limits() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_NOFILE)
