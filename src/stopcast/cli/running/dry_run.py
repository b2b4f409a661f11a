"""What ``--dry-run`` does: it checks what a run would check, as far as that needs no key, and prints the plan."""

from __future__ import annotations

import logging
from functools import partial

from stopcast.api.actions import STOP_WEBCAST
from stopcast.cli.display import messages
from stopcast.cli.lists import Lists
from stopcast.cli.lists.exclusions import read_exclusions
from stopcast.cli.options import Options
from stopcast.cli.output import EXIT_BAD_ROWS, EXIT_GOOD, log, write_json, write_text
from stopcast.cli.running.checks import check_start, check_verify_report
from stopcast.cli.running.metrics import check_metrics
from stopcast.cli.running.open_files import calls_within_limit
from stopcast.cli.running.places import checked_cap, endpoint_of, named_accounts, shared_quota
from stopcast.cli.running.plan import make_plan
from stopcast.errors import ReportExistsError
from stopcast.fleet.connection import connected
from stopcast.i18n import _
from stopcast.threads import in_thread


async def print_plan(options: Options, *, verify: bool) -> int:
    """Print the plan, and return the exit status. What the run would refuse is refused, as far as it needs no key.

    A report that exists is only warned of: it does not make the list any worse, and may be gone before the run.

    Raises:
        StopcastError: an option, the report or a list cannot be used.
    """
    existing = None
    try:
        await check_start(options, STOP_WEBCAST, dry_run=True)
        if verify:
            check_verify_report(options.report)
    except ReportExistsError as error:
        existing = error
    await _check_calls(options)
    await in_thread(partial(check_metrics, options.metrics), name="metrics file")
    lists = Lists.of(options.lists, report=options.report.path, rehearsals=options.calls.sandbox)
    excluded = await read_exclusions(options.lists, report=options.report.path)
    plan = await make_plan(options, lists, excluded=excluded)
    if options.output.as_json:
        write_json(plan.as_json())
    else:
        write_text(str(plan))
        if (deadline := options.guards.until) is not None:
            write_text(messages.until(deadline.left_seconds))
    if existing is not None:
        text = _("The run itself would be refused: {reason}", reason=existing)
        log(text, event="would_be_refused", level=logging.WARNING)
    return EXIT_BAD_ROWS if plan.intake.invalid or plan.per_account[None] else EXIT_GOOD


async def _check_calls(options: Options) -> None:
    """Check, without a key and without a connection, what a run checks when it looks for keys and opens the limiters.

    Raises:
        ConfigurationError: an account, an endpoint, a cap, the shared quota or the limit on open files cannot be used.
    """
    calls = options.calls
    accounts, _routes = named_accounts(calls)
    for account in accounts:
        loopback = endpoint_of(calls, account).loopback or calls.sandbox
        cap = checked_cap(calls, account.max_per_second, STOP_WEBCAST, loopback=loopback)
        shared_quota(calls, account.name, STOP_WEBCAST, cap)
    if calls.quota is not None:
        # It connects with its first command, and there is none.
        async with connected(calls.quota, timeout_seconds=1):
            pass
    calls_within_limit(calls.max_at_once, sockets_per_call=2 if calls.sandbox else 1, accounts=len(accounts))
