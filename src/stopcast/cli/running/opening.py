"""The first line of a run's log where nothing is drawn: what the report does not say, for those who read it later."""

from __future__ import annotations

import os
from datetime import datetime

from stopcast.cli.display.messages import list_names
from stopcast.cli.options import Options
from stopcast.cli.running.targets import OneAccount, Target
from stopcast.cli.running.user import User
from stopcast.i18n import _

#: An access key is no secret, and its beginning tells keys apart.
_KEY_SHOWN = 8


def log_opening(user: User, target: Target, options: Options) -> None:
    """Log when and where a run begins, and as whom. A rehearsal has nothing to say about that."""
    if options.calls.sandbox:
        return
    accounts = [target] if isinstance(target, OneAccount) else list(target.accounts.values())
    keys = [getattr(account.credentials, "access_key", "?")[:_KEY_SHOWN] + "…" for account in accounts]
    regions = list(dict.fromkeys(account.endpoint.region for account in accounts))
    lists = list_names(options.lists.tasks) if options.lists.tasks else _("a queue")
    text = _(
        "{time:%Y-%m-%d %H:%M:%S} begins: {lists}, to {hosts} (region {regions}), key {keys}, at most {cap:g} calls a "
        "second, report {report}, PID {pid}",
        time=datetime.now(),  # noqa: DTZ005 - local
        lists=lists,
        hosts=target.hosts,
        regions=", ".join(regions),
        keys=", ".join(keys),
        cap=options.calls.max_per_second,
        report=options.report.path,
        pid=os.getpid(),
    )
    user.log(
        text,
        event="run_started",
        lists=list(options.lists.tasks),
        hosts=target.hosts,
        regions=regions,
        keys=keys,
        max_per_second=options.calls.max_per_second,
        report=options.report.path,
        pid=os.getpid(),
    )
