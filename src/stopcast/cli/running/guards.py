"""Questions before the first call: about the deadline, and about the number of tasks."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from stopcast.cli.display import messages
from stopcast.cli.lists import Lists
from stopcast.cli.options import GuardOptions, Options
from stopcast.cli.output import log
from stopcast.cli.running.plan import make_plan
from stopcast.cli.running.targets import Target
from stopcast.cli.standard_streams import can_be_typed_on
from stopcast.cli.user import User
from stopcast.i18n import _

#: A run of more tasks against a vendor's host is confirmed at a terminal.
_ASK_ABOVE: Final = 100


async def confirms_deadline(guards: GuardOptions, user: User) -> bool:
    """Return whether the deadline means the day that it names. The user is asked where that is not sure."""
    if guards.until is None or not guards.until.just_passed or guards.yes:
        return True
    log(messages.until(guards.until.left_seconds), event="deadline")
    return await user.confirms(_("This time of day has just passed. Is tomorrow meant?"))


async def confirms_plan(options: Options, lists: Lists, target: Target, user: User, excluded: Container[bytes]) -> bool:
    """Check ``--expect``, and ask the user before a run of many tasks.

    Raises:
        ConfigurationError: the lists do not hold the expected number of tasks.
        ListError: a list cannot be read.
    """
    ask = can_be_typed_on() and not (options.guards.yes or target.loopback or "-" in options.lists.tasks)
    if options.guards.expect is None and not ask:
        return True
    await lists.make_replayable()
    plan = await make_plan(options, lists, excluded=excluded)
    if not ask or plan.intake.tasks <= _ASK_ABOVE:
        return True
    log(str(plan), event="plan")
    if target.routes is None:
        question = _("Stop them at {hosts}, with the key {key}?", hosts=target.hosts, key=target.accounts[0].key)
    else:
        question = _("Stop them at {hosts}?", hosts=target.hosts)
    return await user.confirms(question)
