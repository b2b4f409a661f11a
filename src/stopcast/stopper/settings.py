"""What a Stopper makes of its arguments. What makes no sense is refused when it is given, with words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from inspect import iscoroutinefunction

from stopcast.api.actions import Action
from stopcast.api.endpoint import DEFAULT_ENDPOINT, Endpoint
from stopcast.checks import check_instance, check_methods, check_number
from stopcast.credentials.chain import find_credentials
from stopcast.credentials.places import Search
from stopcast.credentials.value import Credentials, CredentialsProvider, check_credentials
from stopcast.errors import ConfigurationError
from stopcast.limiters import TokenBucket
from stopcast.limiters.own_limiter import as_limiter
from stopcast.logs import LOG
from stopcast.ports import BareLimiter, Limiter, Observer


def resolve_credentials(
    given: Credentials | CredentialsProvider | None,
) -> tuple[Credentials | CredentialsProvider, str | None]:
    """Return the credentials and the region that came with them, from the environment and the files if None is given.

    Raises:
        ConfigurationError: there are none, or what is given is something else or cannot be sent.
    """
    if given is None:
        found = find_credentials(Search.here())
        for warning in found.warnings:
            LOG.warning(warning, extra={"event": "credentials_warning"})
        return found.for_stopper, found.region
    if isinstance(given, Credentials):
        check_credentials(given)
        return given, given.region
    if not callable(given) or isinstance(given, type):
        raise ConfigurationError(
            f"credentials must be Credentials or an async function that returns them, not {type(given).__name__}"
        )
    return given, None


def resolve_endpoint(given: str | Endpoint | None, action: Action, key_region: str | None) -> Endpoint:
    """Return the endpoint of the action.

    Raises:
        ConfigurationError: it cannot be used.
    """
    check_instance("endpoint", given, str, Endpoint)
    if not isinstance(given, Endpoint):
        given = Endpoint.parse(given or DEFAULT_ENDPOINT, key_region=key_region)
    return given.of(action.name)


def resolve_limiter(
    given: BareLimiter | None, max_per_second: float | None, action: Action, *, loopback: bool
) -> Limiter:
    """Return the cap.

    Raises:
        ConfigurationError: both are given, or the rate is above the account's quota.
    """
    if given is not None:
        if max_per_second is not None:
            raise ConfigurationError("max_per_second and limiter are two caps; give one of them")
        check_methods("limiter", given, "acquire", "hold")
        return as_limiter(given)
    quota = action.quota_per_second
    if max_per_second is None:
        return TokenBucket(quota)
    check_number("max_per_second", max_per_second, above=0)
    if max_per_second > quota and not loopback:
        raise ConfigurationError(
            f"max_per_second {max_per_second:g} is above the account's quota of {quota}; "
            f"where the vendor has raised it, pass limiter=TokenBucket({max_per_second:g})"
        )
    return TokenBucket(max_per_second)


def resolve_observers(given: Sequence[Observer]) -> tuple[Observer, ...]:
    """Return the observers.

    Raises:
        ConfigurationError: one of them cannot be called, or they are no sequence.
    """
    if not isinstance(given, Iterable):
        raise ConfigurationError(f"observers must be a sequence of functions, not {type(given).__name__}")
    observers = tuple(given)
    for observer in observers:
        if not callable(observer):
            raise ConfigurationError(f"observers must be functions; {type(observer).__name__} cannot be called")
        if iscoroutinefunction(observer) or iscoroutinefunction(type(observer).__call__):
            raise ConfigurationError("observers are called and not awaited; an async function would never run")
    return observers
