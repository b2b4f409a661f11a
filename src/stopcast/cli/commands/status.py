"""``stopcast status``: shows the state of a queue and of shared quotas."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import click

from stopcast.cli.errors import report_errors
from stopcast.cli.options.option import option, queue_option
from stopcast.i18n import _

#: The log of a terminal or a file can be read at this pace.
_WATCH_SECONDS: Final = 2.0


@click.command()
@queue_option(required=False)
@option("--quota", metavar="URL", help="Where the shared quota is: redis://host:6379/0")
@option("--account", metavar="NAME", help="Whose quota; with --quota. [default: all accounts]")
@option("--watch", is_flag=True, help="Show it again every two seconds, until Ctrl-C.")
@option("--json", "as_json", is_flag=True, help="As one JSON object; with --watch, one a line.")
@report_errors
def status(*, queue: str | None, quota: str | None, account: str | None, watch: bool, as_json: bool) -> None:
    """Show the state of a queue: its tasks, its workers, its dead letters; and the rate of accounts.

    Exit status: 0, or 3 if one of them cannot be reached. With --watch that is logged, and does not end it.
    """
    from datetime import datetime

    from stopcast.cli import event_loop
    from stopcast.cli.output import write_json, write_text

    if not queue and not quota:
        raise click.UsageError("name a --queue, or a --quota, or both")

    async def show() -> None:
        if watch and not as_json:
            write_text(f"{datetime.now():%Y-%m-%d %H:%M:%S}")  # noqa: DTZ005 - local
        objects, texts = await _ask(queue, quota, account)
        if as_json:
            write_json(objects)
        else:
            write_text("\n".join(texts))

    if watch:
        _watch(show)
    else:
        event_loop.run(show())


def _watch(show: Callable[[], Awaitable[None]]) -> None:
    """Show it again and again, until a signal or until nothing reads it. Control-C is the usual end of it."""
    import signal

    from stopcast.cli import event_loop
    from stopcast.errors import InterruptedRunError

    try:
        event_loop.run(_keep_showing(show))
    except InterruptedRunError as error:
        if error.signal_number != signal.SIGINT:
            raise SystemExit(128 + error.signal_number) from None


async def _keep_showing(show: Callable[[], Awaitable[None]]) -> None:
    import asyncio
    import logging

    from stopcast.cli.output import is_read, log
    from stopcast.errors import QueueError, QuotaLostError

    while True:
        try:
            await show()
        except (QueueError, QuotaLostError) as error:
            log(_("stopcast: {error}", error=error), event="status_failed", level=logging.ERROR)
        if not is_read():
            return
        await asyncio.sleep(_WATCH_SECONDS)


async def _ask(queue: str | None, quota: str | None, account: str | None) -> tuple[dict[str, Any], list[str]]:
    """Return what Redis says, as an object and as texts."""
    from stopcast.cli.display import queue_messages
    from stopcast.fleet.queue import RedisQueue
    from stopcast.fleet.quota.quota_status import quota_status, quota_statuses

    objects: dict[str, Any] = {}
    texts: list[str] = []
    if queue:
        async with RedisQueue(queue) as asked:
            tasks = await asked.status()
        objects["queue"] = tasks.as_json()
        texts.append(queue_messages.queue_status(tasks, queue))
    if quota and account:
        pace = await quota_status(quota, account)
        objects["quota"] = pace.as_json()
        texts.append(queue_messages.quota_status(pace))
    elif quota:
        paces = await quota_statuses(quota)
        objects["quotas"] = [pace.as_json() for pace in paces]
        texts += map(queue_messages.quota_status, paces)
        if not paces:
            texts.append(_("no quota was used within the last day"))
    return objects, texts
