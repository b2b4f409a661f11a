"""arq jobs that stop recordings. All workers share one cap, through a Redis.

    cd examples
    STOPCAST_QUOTA=redis://host:6379/0 VOLCENGINE_ACCESS_KEY=... VOLCENGINE_SECRET_KEY=... arq arq_worker.WorkerSettings

Another program enqueues with `await pool.enqueue_job("stop", app_id, room_id, task_id)`. STOPCAST_ENDPOINT names
another endpoint. It needs arq and stopcast[redis].
"""

import os
from contextlib import AsyncExitStack
from typing import Any

from arq import Retry
from arq.connections import RedisSettings

import stopcast

REDIS = os.environ.get("STOPCAST_QUOTA", "redis://localhost:6379/0")


async def stop(ctx: dict[str, Any], app_id: str, room_id: str, task_id: str) -> str:
    """Stop a task, and return its status."""
    stopper: stopcast.Stopper = ctx["stopper"]
    try:
        outcome = await stopper.stop(stopcast.Task(app_id, room_id, task_id))
    except stopcast.StopcastError as error:  # about all tasks, such as a refused key
        raise Retry(defer=60) from error
    if not outcome.status.settled:
        raise Retry(defer=60)
    return outcome.status.value


async def startup(ctx: dict[str, Any]) -> None:
    async with AsyncExitStack() as stack:
        account = os.environ.get("STOPCAST_ACCOUNT", "main")
        quota = await stack.enter_async_context(stopcast.SharedQuota(REDIS, account=account))
        # A refused key is tried again each minute, because these workers run for months.
        ctx["stopper"] = await stack.enter_async_context(
            stopcast.Stopper(endpoint=os.environ.get("STOPCAST_ENDPOINT"), limiter=quota, retry_key_after_seconds=60)
        )
        ctx["stack"] = stack.pop_all()


async def shutdown(ctx: dict[str, Any]) -> None:
    await ctx["stack"].aclose()


class WorkerSettings:
    functions = (stop,)
    on_startup = startup
    on_shutdown = shutdown
    redis_settings = RedisSettings.from_dsn(REDIS)
    # Jobs wait for the limiter and for answers, so a worker takes many at once.
    max_jobs = 300
    max_tries = 1000
    # After SIGTERM, seconds in which jobs finish. What is left goes back to the queue.
    job_completion_wait = 15
