"""Where the calls of a run go, and with which credentials: those of one account, or of an accounts file."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from stopcast.accounts.file import Account, read_accounts
from stopcast.accounts.keys import find_key
from stopcast.accounts.router import Router
from stopcast.api.endpoint import DEFAULT_ENDPOINT, Endpoint
from stopcast.cli.options import CallOptions, Options
from stopcast.cli.output import log
from stopcast.credentials.chain import find_credentials, home_directory
from stopcast.credentials.value import Credentials, CredentialsProvider
from stopcast.engine.retry import RetryPolicy
from stopcast.errors import ConfigurationError
from stopcast.fleet.quota.shared_quota import SharedQuota
from stopcast.i18n import N_, _
from stopcast.limiters import TokenBucket
from stopcast.limiters.pacer import ARRIVAL_JITTER
from stopcast.ports import Limiter, Observer
from stopcast.stopper.task_calls import TaskCalls

#: Returns the observers of an account; "" is the name of the only one.
ObserversOf = Callable[[str], Sequence[Observer]]
_KEY_SHOWN: Final = 8
#: Makes the object that makes the calls.
MakeAccount = Callable[[ObserversOf], TaskCalls]
MakeCalls = MakeAccount | Callable[[ObserversOf], Router]


@dataclass(frozen=True, slots=True)
class OneAccount:
    """The account whose credentials were found.

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

    @property
    def hosts(self) -> str:
        """Where the calls go, as text for the user."""
        return self.endpoint.host

    @property
    def loopback(self) -> bool:
        """Whether the calls stay on this machine, so that no quota is used."""
        return self.endpoint.loopback

    def cap(self, calls: CallOptions, *, stops_tasks: bool) -> float:
        """Return the most calls a second. An account's own cap is for stopping tasks; queries have another quota."""
        return self.max_per_second if stops_tasks and self.max_per_second is not None else calls.max_per_second

    async def limited(self, kind: type[TaskCalls], options: Options, stack: AsyncExitStack) -> MakeAccount:
        """Open the limiter, and return a function that makes an object of this kind.

        Raises:
            ConfigurationError: the cap is above the account's quota.
            StopcastError: the shared quota cannot be reached.
        """
        action, calls = kind.action, options.calls
        max_per_second = self.cap(calls, stops_tasks=action.stops_tasks)
        quota = action.quota_per_second
        if max_per_second > quota and not (self.loopback or calls.raised_quota):
            raise ConfigurationError(
                f"--max-per-second {max_per_second:g} is above the account's quota of {quota}; "
                f"where the vendor has raised it, add --raised-quota"
            )
        limiter = await self._limiter(action.name, max_per_second, calls, stack)
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

    async def _limiter(
        self, action: str, max_per_second: float, options: CallOptions, stack: AsyncExitStack
    ) -> Limiter:
        jitter = ARRIVAL_JITTER if options.arrival_jitter_ms is None else options.arrival_jitter_ms / 1000
        if options.quota is None:
            return TokenBucket(max_per_second, arrival_jitter=jitter)
        return await stack.enter_async_context(
            SharedQuota(
                options.quota,
                account=_account_of_quota(options, self.name),
                action=action,
                max_per_second=max_per_second,
                arrival_jitter=jitter,
                lost_share=options.quota_lost,
            )
        )


@dataclass(frozen=True, slots=True)
class ManyAccounts:
    """The accounts of a file.

    Attributes:
        accounts: by name.
        routes: the account's name by AppId or pattern.
    """

    accounts: dict[str, OneAccount]
    routes: dict[str, str]

    @property
    def hosts(self) -> str:
        """Where the calls go, as text for the user."""
        return ", ".join(dict.fromkeys(account.hosts for account in self.accounts.values()))

    @property
    def loopback(self) -> bool:
        """Whether the calls stay on this machine, so that no quota is used."""
        return all(account.loopback for account in self.accounts.values())

    async def limited(self, kind: type[TaskCalls], options: Options, stack: AsyncExitStack) -> MakeCalls:
        """Do what ``OneAccount.limited`` does for all accounts, and raise what that raises."""
        each = {name: await account.limited(kind, options, stack) for name, account in self.accounts.items()}

        def make(observers_of: ObserversOf) -> Router:
            calls = {name: make_calls(observers_of) for name, make_calls in each.items()}
            return Router(calls, self.routes, observers=observers_of(""))

        return make


Target = OneAccount | ManyAccounts


def shared_quotas(target: Target, options: CallOptions, action: str) -> list[tuple[str, str, str]]:
    """Return the URL, the account and the action of each quota that is shared with other processes."""
    if options.quota is None:
        return []
    names = target.accounts if isinstance(target, ManyAccounts) else [target.name]
    return [(options.quota, _account_of_quota(options, name), action) for name in names]


def _account_of_quota(options: CallOptions, name: str) -> str:
    # An accounts file names its accounts itself: one name is one cap, in whichever way it is given.
    return name or options.account or ""


async def find_target(options: Options, stack: AsyncExitStack) -> Target:
    """Find the credentials, and check where the calls go.

    Raises:
        ConfigurationError: there are no credentials, or an address or a region is not valid.
    """
    calls = options.calls
    if calls.sandbox and calls.endpoint:
        raise ConfigurationError("--sandbox brings its own endpoint; leave --endpoint out, or --sandbox")
    verbose = options.output.verbose > 0
    if calls.accounts is None:
        return await _find_one(calls, stack, Account(name="", apps=()), verbose=verbose)
    accounts, routes = read_accounts(calls.accounts)
    found = {account.name: await _find_one(calls, stack, account, verbose=verbose) for account in accounts}
    return ManyAccounts(found, routes)


async def _find_one(options: CallOptions, stack: AsyncExitStack, account: Account, *, verbose: bool) -> OneAccount:
    return await _sandbox(options, stack, account) if options.sandbox else _one(options, account, verbose=verbose)


async def _sandbox(options: CallOptions, stack: AsyncExitStack, account: Account) -> OneAccount:
    from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator

    emulator = await stack.enter_async_context(Emulator())
    return OneAccount(
        Endpoint.parse(emulator.url, version=options.api_version),
        SANDBOX_CREDENTIALS,
        account.max_per_second,
        account.name,
        _key_shown(SANDBOX_CREDENTIALS),
    )


def _one(options: CallOptions, account: Account, *, verbose: bool) -> OneAccount:
    environ, home = os.environ, home_directory()
    found = find_key(account, environ, home) if account.name else find_credentials(environ=environ, home=home)
    for warning in found.warnings:
        log(f"stopcast: {warning}", event="credentials_warning", level=logging.WARNING)
    endpoint = Endpoint.parse(
        account.endpoint or options.endpoint or DEFAULT_ENDPOINT,
        region=account.region or options.region,
        key_region=found.region,
        version=options.api_version,
    )
    if verbose:
        template = (
            N_("account {name}: key from {place}; to {host}, region {region}")
            if account.name
            else (N_("key from {place}; to {host}, region {region}"))
        )
        fields = {"place": found.place, "host": endpoint.host, "region": endpoint.region}
        log(_(template, name=account.name, **fields), event="credentials_found")
    key = found.place if found.credentials is None else _key_shown(found.credentials)
    return OneAccount(endpoint, found.for_stopper, account.max_per_second, account.name, key)


def _key_shown(credentials: Credentials) -> str:
    """Return the beginning of the access key. It is no secret, and identifies the key well enough."""
    return f"{credentials.access_key[:_KEY_SHOWN]}…"
