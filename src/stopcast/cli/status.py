"""``stopcast status``: how a queue stands."""

from __future__ import annotations

import click

from stopcast.cli.options import option, telling_errors
from stopcast.cli.queue_options import queue_option


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@queue_option
@option("--json", "as_json", is_flag=True, help="As one JSON object.")
@telling_errors
def status(*, queue: str, as_json: bool) -> None:
    """Tell how a queue stands: its tasks, its workers, and what they could not finish.

    Exit status: 0, or 3 if the queue cannot be reached.
    """
    import asyncio

    import orjson

    from stopcast.cli import telling
    from stopcast.cli.options import put_out
    from stopcast.redis_queue import QueueStatus, RedisQueue

    async def ask() -> QueueStatus:
        async with RedisQueue(queue) as asked:
            return await asked.status()

    told = asyncio.run(ask())
    put_out(orjson.dumps({"queue": told.as_json()}) if as_json else telling.queue_status(told))
