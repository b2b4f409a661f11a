"""Stops Volcengine RTC cloud-recording (webcast) tasks in bulk, within the account's quota.

    async with stopcast.Stopper() as stopper:
        outcome = await stopper.stop(stopcast.Task("app", "room", "task"))

Everything that is public is named here, or in ``stopcast.events``, ``stopcast.prometheus``, ``stopcast.otel``,
``stopcast.sandbox`` and ``stopcast.virtual_clock``. Names are imported when
they are first used: a command that makes no call does not pay for an HTTP client.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stopcast.accounts.router import Router
    from stopcast.api.endpoint import Endpoint
    from stopcast.credentials.value import Credentials, CredentialsProvider
    from stopcast.engine.halting import HaltAfter
    from stopcast.engine.retry import RetryPolicy
    from stopcast.errors import (
        AccountsGivenUpError,
        CanaryError,
        ClockRefusedError,
        ClosedError,
        ConfigurationError,
        CredentialsNotFoundError,
        CredentialsRefusedError,
        CredentialsUnavailableError,
        EndpointError,
        HaltedError,
        QueueError,
        QuotaLostError,
        StopcastError,
        TimeIsUpError,
        TooManyFailuresError,
    )
    from stopcast.fleet.queue import RedisConsumer, RedisQueue
    from stopcast.fleet.quota.shared_quota import SharedQuota
    from stopcast.limiters import TokenBucket, Unlimited
    from stopcast.ports import Limiter, Observer
    from stopcast.stopper import Stopper, Verifier
    from stopcast.tasks.outcome import Outcome, Status, TaskState
    from stopcast.tasks.task import Task

_HOMES = {
    "AccountsGivenUpError": "errors",
    "CanaryError": "errors",
    "ClockRefusedError": "errors",
    "ClosedError": "errors",
    "ConfigurationError": "errors",
    "Credentials": "credentials.value",
    "CredentialsNotFoundError": "errors",
    "CredentialsProvider": "credentials.value",
    "CredentialsRefusedError": "errors",
    "CredentialsUnavailableError": "errors",
    "Endpoint": "api.endpoint",
    "EndpointError": "errors",
    "HaltAfter": "engine.halting",
    "HaltedError": "errors",
    "Limiter": "ports",
    "Observer": "ports",
    "Outcome": "tasks.outcome",
    "QueueError": "errors",
    "QuotaLostError": "errors",
    "RedisConsumer": "fleet.queue",
    "RedisQueue": "fleet.queue",
    "RetryPolicy": "engine.retry",
    "Router": "accounts.router",
    "SharedQuota": "fleet.quota.shared_quota",
    "Status": "tasks.outcome",
    "StopcastError": "errors",
    "Stopper": "stopper",
    "Task": "tasks.task",
    "TaskState": "tasks.outcome",
    "TimeIsUpError": "errors",
    "TokenBucket": "limiters",
    "TooManyFailuresError": "errors",
    "Unlimited": "limiters",
    "Verifier": "stopper",
}

__all__ = [
    "AccountsGivenUpError",
    "CanaryError",
    "ClockRefusedError",
    "ClosedError",
    "ConfigurationError",
    "Credentials",
    "CredentialsNotFoundError",
    "CredentialsProvider",
    "CredentialsRefusedError",
    "CredentialsUnavailableError",
    "Endpoint",
    "EndpointError",
    "HaltAfter",
    "HaltedError",
    "Limiter",
    "Observer",
    "Outcome",
    "QueueError",
    "QuotaLostError",
    "RedisConsumer",
    "RedisQueue",
    "RetryPolicy",
    "Router",
    "SharedQuota",
    "Status",
    "StopcastError",
    "Stopper",
    "Task",
    "TaskState",
    "TimeIsUpError",
    "TokenBucket",
    "TooManyFailuresError",
    "Unlimited",
    "Verifier",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
