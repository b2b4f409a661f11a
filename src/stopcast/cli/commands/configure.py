"""``stopcast configure``: changes, for all processes, the settings that Redis keeps of a queue or a shared quota."""

from __future__ import annotations

import click

from stopcast.cli.errors import report_errors
from stopcast.cli.options.calls import check_cap
from stopcast.cli.options.option import Number, Whole, option, queue_option


# A variable that is meant for workers must not change the settings of all, so these have none.
@click.command()
@queue_option(required=False)
@click.option("--claim-after", type=Number(0, min_open=True), metavar="SECONDS", help="Of the queue, as for worker.")
@click.option("--max-deliveries", type=Whole(1), metavar="N", help="Of the queue, as for worker.")
@option("--quota", metavar="URL", help="Where the shared quota is: redis://host:6379/0")
@option("--account", metavar="NAME", help="Whose quota; with --quota.")
@click.option("--max-per-second", type=Number(0.001), metavar="N", help="Of the quota, as for run.")
@click.option("--raised-quota", is_flag=True, help="The vendor has raised the account's quota, as for run.")
@click.option("--arrival-jitter", type=Number(0, 60_000), metavar="MS", help="Of the quota, as for run.")
@click.option("--verifying", is_flag=True, help="The quota of verify's calls, which is apart from run's.")
@report_errors
def configure(
    *,
    queue: str | None,
    claim_after: float | None,
    max_deliveries: int | None,
    quota: str | None,
    account: str | None,
    max_per_second: float | None,
    raised_quota: bool,
    arrival_jitter: float | None,
    verifying: bool,
) -> None:
    """Change the settings that all workers of a queue share, or all processes of a shared quota.

    Redis keeps them. Processes that run adopt a change within seconds. A changed quota pauses their calls for two.

    Exit status: 0; 2 wrong usage; 3 Redis cannot be reached.
    """
    from stopcast.api.actions import GET_WEBCAST_TASK, STOP_WEBCAST
    from stopcast.cli import event_loop
    from stopcast.cli.output import write_text

    of_queue, of_quota = (claim_after, max_deliveries) != (None, None), (max_per_second, arrival_jitter) != (None, None)
    if of_queue == of_quota:
        raise click.UsageError(
            "name settings of a queue (--claim-after, --max-deliveries), or of a quota (--max-per-second, "
            "--arrival-jitter)"
        )
    if of_queue:
        if not queue:
            raise click.UsageError("name the queue: --queue URL, or set STOPCAST_QUEUE")
        write_text(event_loop.run(_configure_queue(queue, claim_after, max_deliveries)))
        return
    if not quota or not account:
        raise click.UsageError("name the quota: --quota URL and --account NAME")
    action = GET_WEBCAST_TASK if verifying else STOP_WEBCAST
    if max_per_second is not None:
        check_cap(max_per_second, action.quota_per_second, raised=raised_quota)
    write_text(event_loop.run(_configure_quota(quota, account, action.name, max_per_second, arrival_jitter)))


async def _configure_queue(url: str, claim_after_seconds: float | None, max_deliveries: int | None) -> str:
    from stopcast.cli.display import queue_messages
    from stopcast.fleet.queue import RedisQueue

    async with RedisQueue(url) as queue:
        await queue.configure(claim_after_seconds=claim_after_seconds, max_deliveries=max_deliveries)
        return queue_messages.queue_status(await queue.status(), url)


async def _configure_quota(
    url: str, account: str, action: str, max_per_second: float | None, arrival_jitter_ms: float | None
) -> str:
    from stopcast.cli.display import queue_messages
    from stopcast.errors import ConfigurationError
    from stopcast.fleet.quota.quota_status import quota_status
    from stopcast.fleet.quota.shared_quota import SharedQuota

    if (await quota_status(url, account, action)).max_per_second is None:
        raise ConfigurationError(
            f"the quota of {account} was not used within the last day, so Redis keeps no settings of it; "
            f"the first process decides them"
        )
    # The cap in Redis is adopted on entering, and so is a jitter that is greater than this one.
    async with SharedQuota(url, account=account, action=action, arrival_jitter=0.0) as quota:
        await quota.change_settings(
            max_per_second=max_per_second,
            arrival_jitter=None if arrival_jitter_ms is None else arrival_jitter_ms / 1000,
        )
    return queue_messages.quota_status(await quota_status(url, account, action))
