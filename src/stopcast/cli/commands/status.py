"""``stopcast status``: shows the state of a queue and of a shared quota."""

from __future__ import annotations

from typing import Any

import click

from stopcast.cli.log_output import report_errors
from stopcast.cli.options.option import SETTINGS, option
from stopcast.cli.options.queue import queue_option


@click.command(context_settings=SETTINGS)
@queue_option(required=False)
@option("--quota", metavar="URL", help="Where the shared quota is: redis://host:6379/0")
@option("--account", metavar="NAME", help="Whose quota; with --quota.")
@option("--json", "as_json", is_flag=True, help="As one JSON object.")
@report_errors
def status(*, queue: str | None, quota: str | None, account: str | None, as_json: bool) -> None:
    """Show the state of a queue: its tasks, its workers, its dead letters; and the rate of an account.

    Exit status: 0, or 3 if one of them cannot be reached.
    """
    from stopcast.cli.display import messages
    from stopcast.cli.output import write_json, write_stdout
    from stopcast.cli.running import wakeup
    from stopcast.fleet.queue import RedisQueue
    from stopcast.fleet.quota.quota_status import quota_status

    if not queue and not quota:
        raise click.UsageError("name a --queue, or a --quota and an --account, or both")
    if quota and not account:
        raise click.UsageError("--quota needs an --account")

    async def ask() -> tuple[dict[str, Any], list[str]]:
        objects, texts = {}, []
        if queue:
            async with RedisQueue(queue) as asked:
                tasks = await asked.status()
            objects["queue"] = tasks.as_json()
            texts.append(messages.queue_status(tasks))
        if quota and account:
            pace = await quota_status(quota, account)
            objects["quota"] = pace.as_json()
            texts.append(messages.quota_status(pace))
        return objects, texts

    objects, texts = wakeup.run(ask())
    if as_json:
        write_json(objects)
    else:
        write_stdout("\n".join(texts))
