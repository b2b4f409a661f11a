"""Where the calls of a run go, and with which credentials: those of one account, or of an accounts file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from stopcast.accounts.file import AccountEntry
from stopcast.accounts.keys import find_key
from stopcast.accounts.router import Router
from stopcast.api.endpoint import Endpoint
from stopcast.cli.options import CallOptions, Options
from stopcast.cli.output import log
from stopcast.cli.running.places import (
    account_of_quota,
    cap_of,
    checked_cap,
    endpoint_of,
    named_accounts,
    shared_quota,
)
from stopcast.credentials.chain import find_credentials
from stopcast.credentials.places import Search
from stopcast.credentials.value import Credentials, CredentialsProvider
from stopcast.engine.retry import RetryPolicy
from stopcast.i18n import _
from stopcast.limiters import TokenBucket
from stopcast.marking import N_
from stopcast.ports import Limiter, Observer
from stopcast.stopper.task_calls import TaskCalls

#: Returns the observers of an account; "" is the name of the only one.
ObserversOf = Callable[[str], Sequence[Observer]]
#: Returns the object that makes the calls.
MakeCalls = Callable[[ObserversOf], TaskCalls | Router]


@dataclass(frozen=True, slots=True)
class TargetAccount:
    """An account whose credentials were found.

    Attributes:
        endpoint: where the calls go.
        credentials: the account's.
        max_per_second: the account's own cap, None for that of the options.
        name: the account's, "" where there is only one.
        key: the beginning of the access key, which is no secret, or where the key comes from if it changes.
    """

    endpoint: Endpoint
    credentials: Credentials | CredentialsProvider
    max_per_second: float | None = None
    name: str = ""
    key: str = ""

    def cap(self, calls: CallOptions, *, stops_tasks: bool) -> float:
        """Return the most calls a second. An account's own cap is for stopping tasks; queries have another quota."""
        return cap_of(calls, self.max_per_second, stops_tasks=stops_tasks)

    async def open_limiter(
        self, kind: type[TaskCalls], options: Options, stack: AsyncExitStack
    ) -> Callable[[ObserversOf], TaskCalls]:
        """Open the limiter, and return a function that makes the calls' object, which is of this kind."""
        action, calls = kind.action, options.calls
        max_per_second = checked_cap(calls, self.max_per_second, action, loopback=self.endpoint.loopback)
        limiter: Limiter = TokenBucket(max_per_second, arrival_jitter=calls.arrival_jitter)
        if (quota := shared_quota(calls, self.name, action, max_per_second)) is not None:
            limiter = await stack.enter_async_context(quota)
        return lambda observers_of: kind(
            self.credentials,
            endpoint=self.endpoint,
            proxy=None if calls.sandbox else calls.proxy,
            limiter=limiter,
            retry=RetryPolicy(max_attempts=calls.max_attempts),
            timeout_seconds=calls.timeout_seconds,
            max_at_once=calls.max_at_once,
            halt_after=options.guards.halt_after,
            drain_seconds=0,
            observers=observers_of(self.name),
        )


@dataclass(frozen=True, slots=True)
class Target:
    """Where the calls of a run go.

    Attributes:
        accounts: those of the accounts file, or the only one.
        routes: the account's name by AppId or pattern, None if there is no accounts file.
    """

    accounts: Sequence[TargetAccount]
    routes: dict[str, str] | None = None

    @property
    def hosts(self) -> str:
        """Where the calls go, as text for the user."""
        return ", ".join(dict.fromkeys(account.endpoint.host for account in self.accounts))

    @property
    def loopback(self) -> bool:
        """Whether the calls stay on this machine, so that no quota is used."""
        return all(account.endpoint.loopback for account in self.accounts)

    async def open_limiters(self, kind: type[TaskCalls], options: Options, stack: AsyncExitStack) -> MakeCalls:
        """Open the limiters, and return a function that makes an object of this kind, or a Router of several.

        Raises:
            ConfigurationError: a cap is above the account's quota.
            StopcastError: the shared quota cannot be reached.
        """
        makers = {account.name: await account.open_limiter(kind, options, stack) for account in self.accounts}
        if (routes := self.routes) is None:
            (make,) = makers.values()
            return make
        return lambda observers_of: Router(
            {name: make(observers_of) for name, make in makers.items()}, routes, observers=observers_of("")
        )


def shared_quotas(target: Target, options: CallOptions, action: str) -> list[tuple[str, str, str]]:
    """Return the URL, the account and the action of each quota that is shared with other processes."""
    if options.quota is None:
        return []
    return [(options.quota, account_of_quota(options, account.name), action) for account in target.accounts]


async def find_target(options: Options, stack: AsyncExitStack) -> Target:
    """Find the credentials, and check where the calls go.

    Raises:
        ConfigurationError: there are no credentials, or an address or a region is not valid.
    """
    calls = options.calls
    accounts, routes = named_accounts(calls)
    if calls.sandbox:
        return Target([await _sandbox_account(calls, account, stack) for account in accounts], routes)
    return Target([_real_account(calls, account, verbose=options.output.verbose > 0) for account in accounts], routes)


async def _sandbox_account(options: CallOptions, account: AccountEntry, stack: AsyncExitStack) -> TargetAccount:
    from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator

    emulator = await stack.enter_async_context(Emulator())
    return TargetAccount(
        Endpoint.parse(emulator.url, version=options.api_version),
        SANDBOX_CREDENTIALS,
        account.max_per_second,
        account.name,
        SANDBOX_CREDENTIALS.shown_key,
    )


def _real_account(options: CallOptions, account: AccountEntry, *, verbose: bool) -> TargetAccount:
    search = Search.here()
    found = find_key(account, search) if account.name else find_credentials(search)
    for warning in found.warnings:
        log(f"stopcast: {warning}", event="credentials_warning", level=logging.WARNING)
    endpoint = endpoint_of(options, account, key_region=found.region)
    if verbose:
        template = (
            N_("account {name}: key from {place}; to {host}, region {region}")
            if account.name
            else N_("key from {place}; to {host}, region {region}")
        )
        fields = {"place": found.place, "host": endpoint.host, "region": endpoint.region}
        log(_(template, name=account.name, **fields), event="credentials_found")
    key = found.place if found.credentials is None else found.credentials.shown_key
    return TargetAccount(endpoint, found.for_stopper, account.max_per_second, account.name, key)
