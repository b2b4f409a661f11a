"""Celery tasks that stop recordings. All workers share one cap, through a Redis.

    STOPCAST_QUOTA=redis://host:6379/0 VOLCENGINE_ACCESS_KEY=... VOLCENGINE_SECRET_KEY=... \
    celery --workdir examples --app celery_worker worker --pool threads --concurrency 64

With `--pool threads` the threads of a worker share one Stopper. With processes each has its own, and the cap is shared
all the same. STOPCAST_ENDPOINT names another endpoint. It needs celery[redis], anyio and stopcast[redis].
"""

import os
from contextlib import ExitStack
from threading import Lock
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from celery import Celery, Task
from celery.signals import worker_process_shutdown, worker_shutdown

import stopcast

REDIS = os.environ.get("STOPCAST_QUOTA", "redis://localhost:6379/0")

app = Celery("recordings", broker=REDIS, backend=REDIS)
# A message is acknowledged after its task: what a worker had when it died is delivered again. A call that it had sent
# may have stopped its task; the second call then ends as `already_stopped`. A queue of stopcast knows the difference.
app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True, worker_prefetch_multiplier=1)


class Calls:
    """A Stopper on an event loop in a thread of its own. The first task of a process opens it, after the fork."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._stack = ExitStack()
        self._opened: tuple[BlockingPortal, stopcast.Stopper] | None = None

    def stop(self, task: stopcast.Task) -> stopcast.Outcome:
        with self._lock:
            portal, stopper = self._opened = self._opened or self._open()
        return portal.call(stopper.stop, task)

    def _open(self) -> tuple[BlockingPortal, stopcast.Stopper]:
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal())
            quota = stopcast.SharedQuota(REDIS, account=os.environ.get("STOPCAST_ACCOUNT", "main"))
            stack.enter_context(portal.wrap_async_context_manager(quota))
            # A refused key is tried again each minute, because these workers run for months.
            stopper = stopcast.Stopper(
                endpoint=os.environ.get("STOPCAST_ENDPOINT"), limiter=quota, retry_key_after_seconds=60
            )
            stack.enter_context(portal.wrap_async_context_manager(stopper))
            self._stack = stack.pop_all()
        return portal, stopper

    def close(self, **_: Any) -> None:
        with self._lock:
            self._stack.close()
            self._opened = None


calls = Calls()
worker_shutdown.connect(calls.close)
worker_process_shutdown.connect(calls.close)


# A StopcastError is about all tasks: the key is refused, or the Redis of the quota is away.
@app.task(bind=True, autoretry_for=(stopcast.StopcastError,), retry_backoff=10, max_retries=None)
def stop(self: Task, app_id: str, room_id: str, task_id: str) -> str:
    """Stop a task, and return its status."""
    outcome = calls.stop(stopcast.Task(app_id, room_id, task_id))
    if not outcome.status.settled:
        raise self.retry(countdown=60)
    return outcome.status.value
