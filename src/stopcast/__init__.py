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
    from stopcast.api import Endpoint
    from stopcast.credentials import Credentials, CredentialsProvider
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
    from stopcast.halting import HaltAfter
    from stopcast.limiters import SharedQuota, TokenBucket, Unlimited
    from stopcast.outcome import Outcome, Status, TaskState
    from stopcast.ports import Limiter, Observer
    from stopcast.redis_queue import RedisConsumer, RedisQueue
    from stopcast.retry import RetryPolicy
    from stopcast.router import Router
    from stopcast.stopper import Stopper, Verifier
    from stopcast.task import Task

_HOMES = {
    "AccountsGivenUpError": "errors",
    "CanaryError": "errors",
    "ClockRefusedError": "errors",
    "ClosedError": "errors",
    "ConfigurationError": "errors",
    "Credentials": "credentials",
    "CredentialsNotFoundError": "errors",
    "CredentialsProvider": "credentials",
    "CredentialsRefusedError": "errors",
    "CredentialsUnavailableError": "errors",
    "Endpoint": "api",
    "EndpointError": "errors",
    "HaltAfter": "halting",
    "HaltedError": "errors",
    "Limiter": "ports",
    "Observer": "ports",
    "Outcome": "outcome",
    "QueueError": "errors",
    "QuotaLostError": "errors",
    "RedisConsumer": "redis_queue",
    "RedisQueue": "redis_queue",
    "RetryPolicy": "retry",
    "Router": "router",
    "SharedQuota": "limiters",
    "Status": "outcome",
    "StopcastError": "errors",
    "Stopper": "stopper",
    "Task": "task",
    "TaskState": "outcome",
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
