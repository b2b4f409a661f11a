"""``stopcast status``: how a queue and a shared quota stand."""

from __future__ import annotations

import click

from stopcast.cli.log_output import report_errors
from stopcast.cli.options.option import option
from stopcast.cli.options.queue import any_queue_option


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@any_queue_option
@option("--quota", metavar="URL", help="Where the shared quota is: redis://host:6379/0")
@option("--account", metavar="NAME", help="Whose quota; with --quota.")
@option("--json", "as_json", is_flag=True, help="As one JSON object.")
@report_errors
def status(*, queue: str | None, quota: str | None, account: str | None, as_json: bool) -> None:
    """Tell how a queue stands: its tasks, its workers, and what they could not finish; and how fast an account goes.

    Exit status: 0, or 3 if one of them cannot be reached.
    """
    import orjson

    from stopcast.cli.display import messages
    from stopcast.cli.output import write_stdout
    from stopcast.cli.running import wakeup
    from stopcast.fleet.queue import QueueStatus, RedisQueue
    from stopcast.fleet.quota.quota_status import QuotaStatus, quota_status

    if not queue and not quota:
        raise click.UsageError("name a --queue, or a --quota and an --account, or both")
    if quota and not account:
        raise click.UsageError("--quota needs an --account")

    async def ask() -> tuple[QueueStatus | None, QuotaStatus | None]:
        stands = None
        if queue:
            async with RedisQueue(queue) as asked:
                stands = await asked.status()
        return stands, await quota_status(quota, account) if quota and account else None

    tasks, pace = wakeup.run(ask())
    if as_json:
        told = {"queue": tasks, "quota": pace}
        write_stdout(orjson.dumps({name: stands.as_json() for name, stands in told.items() if stands is not None}))
        return
    lines = [messages.queue_status(tasks)] if tasks is not None else []
    write_stdout("\n".join([*lines, *([messages.quota_status(pace)] if pace is not None else [])]))
