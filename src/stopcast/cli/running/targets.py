"""Where the calls of a run go, and with whose credentials: one account's, or those of an accounts file."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from stopcast.accounts.file import Account, read_accounts
from stopcast.accounts.router import Router
from stopcast.api.endpoint import DEFAULT_ENDPOINT, Endpoint
from stopcast.cli.options.groups import warn_of_password
from stopcast.cli.options.values import Options
from stopcast.cli.output import log
from stopcast.credentials.chain import (
    PROFILE_PLACE,
    EnvironmentPlace,
    FilePlace,
    Look,
    Names,
    Request,
    find_credentials,
    look_at,
)
from stopcast.credentials.files import State, pick_ini, pick_object
from stopcast.credentials.value import Credentials, CredentialsProvider
from stopcast.engine.retry import RetryPolicy
from stopcast.errors import ConfigurationError
from stopcast.fleet.quota.shared_quota import SharedQuota
from stopcast.limiters import TokenBucket
from stopcast.limiters.token_bucket import ARRIVAL_JITTER
from stopcast.ports import Limiter, Observer
from stopcast.stopper.task_calls import TaskCalls

#: By account, "" where there is but one: whom to tell what happens.
ObserversOf = Callable[[str], Sequence[Observer]]
#: Makes what is to make the calls.
MakeAccount = Callable[[ObserversOf], TaskCalls]
MakeCalls = MakeAccount | Callable[[ObserversOf], Router]


@dataclass(frozen=True, slots=True)
class OneAccount:
    """The account whose credentials were found.

    Attributes:
        endpoint: where the calls go.
        credentials: whose they are.
        max_per_second: its cap, None for that of the options.
        name: what it is called, where there are several.
    """

    endpoint: Endpoint
    credentials: Credentials | CredentialsProvider
    max_per_second: float | None = None
    name: str = ""

    @property
    def hosts(self) -> str:
        """Where the calls go, for a person."""
        return self.endpoint.host

    @property
    def loopback(self) -> bool:
        """Whether nobody's quota is at stake."""
        return self.endpoint.loopback

    async def limited(self, kind: type[TaskCalls], options: Options, stack: AsyncExitStack) -> MakeAccount:
        """Open the limiter, and return what makes the calls of the kind.

        Raises:
            ConfigurationError: a cap above the account's quota.
            StopcastError: a shared quota that cannot be reached.
        """
        action = kind.action
        # An account's own cap is about stopping tasks; asking about them has another quota.
        own = self.max_per_second if action.changes else None
        max_per_second = options.max_per_second if own is None else own
        quota = action.quota_per_second
        if max_per_second > quota and not (self.loopback or options.raised_quota):
            raise ConfigurationError(
                f"--max-per-second {max_per_second:g} is above the account's quota of {quota}; "
                f"where the vendor has raised it, add --raised-quota"
            )
        limiter = await self._limiter(action.name, max_per_second, options, stack)
        return lambda observers_of: kind(
            self.credentials,
            endpoint=self.endpoint,
            limiter=limiter,
            retry=RetryPolicy(max_attempts=options.max_attempts),
            max_per_second=max_per_second,
            timeout_seconds=options.timeout,
            max_at_once=options.max_at_once,
            halt_after=options.halt_after,
            drain_seconds=0,
            observers=observers_of(self.name),
        )

    async def _limiter(self, action: str, max_per_second: float, options: Options, stack: AsyncExitStack) -> Limiter:
        jitter = ARRIVAL_JITTER if options.arrival_jitter is None else options.arrival_jitter / 1000
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
        """Where the calls go, for a person."""
        return ", ".join(dict.fromkeys(account.hosts for account in self.accounts.values()))

    @property
    def loopback(self) -> bool:
        """Whether nobody's quota is at stake."""
        return all(account.loopback for account in self.accounts.values())

    async def limited(self, kind: type[TaskCalls], options: Options, stack: AsyncExitStack) -> MakeCalls:
        """Open the limiters, and return what makes the calls of the kind. Raises what an account's does."""
        each = {name: await account.limited(kind, options, stack) for name, account in self.accounts.items()}

        def make(observers_of: ObserversOf) -> Router:
            calls = {name: make_calls(observers_of) for name, make_calls in each.items()}
            return Router(calls, self.routes, observers=observers_of(""))

        return make


Target = OneAccount | ManyAccounts


def shared_quotas(target: Target, options: Options, action: str) -> list[tuple[str, str, str]]:
    """Return the URL, the account and the action of each quota that is shared with other processes."""
    if options.quota is None:
        return []
    names = target.accounts if isinstance(target, ManyAccounts) else [target.name]
    return [(options.quota, _account_of_quota(options, name), action) for name in names]


def _account_of_quota(options: Options, name: str) -> str:
    return ".".join(filter(None, (options.account, name)))


async def find_target(options: Options, stack: AsyncExitStack) -> Target:
    """Find the credentials, and check where the calls are to go.

    Raises:
        ConfigurationError: there are none, or an address or a region that is none.
    """
    if options.quota is not None:
        warn_of_password(options.quota, "--quota")
    if options.sandbox and options.endpoint:
        raise ConfigurationError("--sandbox brings its own endpoint; leave --endpoint out, or --sandbox")
    if options.accounts is None:
        only = Account(name="", apps=())
        return await _sandbox(options, stack, only) if options.sandbox else _one(options, only)
    accounts, routes = read_accounts(options.accounts)
    found = {it.name: await _sandbox(options, stack, it) if options.sandbox else _one(options, it) for it in accounts}
    return ManyAccounts(found, routes)


async def _sandbox(options: Options, stack: AsyncExitStack, account: Account) -> OneAccount:
    from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator

    emulator = await stack.enter_async_context(Emulator())
    return OneAccount(
        Endpoint.parse(emulator.url, version=options.api_version),
        SANDBOX_CREDENTIALS,
        account.max_per_second,
        account.name,
    )


def _one(options: Options, account: Account) -> OneAccount:
    found = _look_for(account) if account.name else find_credentials(environ=os.environ, home=Path.home())
    for warning in found.warnings:
        log(f"stopcast: {warning}", event="credentials_warning", level=logging.WARNING)
    endpoint = Endpoint.parse(
        account.endpoint or options.endpoint or DEFAULT_ENDPOINT,
        region=account.region or options.region,
        key_region=found.region,
        version=options.api_version,
    )
    if options.verbose:
        whose = f"account {account.name}: " if account.name else ""
        where = f"to {endpoint.host}, region {endpoint.region}"
        log(f"{whose}key from {found.place}; {where}", event="credentials_found")
    return OneAccount(endpoint, found.given, account.max_per_second, account.name)


def _look_for(account: Account) -> Look:
    # Another variable that names a profile or a key is about another account.
    environ = {name: value for name, value in os.environ.items() if name != "VOLCENGINE_PROFILE"}
    place: EnvironmentPlace | FilePlace
    if account.environment is not None:
        parts = ("ACCESS_KEY", "SECRET_KEY", "SESSION_TOKEN", "REGION")
        place = EnvironmentPlace(Names(*(f"{account.environment}_{part}" for part in parts)))
    elif account.credentials_file is not None:
        place = _file(account.credentials_file.absolute())
    else:
        place = PROFILE_PLACE
        if account.config_file is not None:
            environ[place.path_variable] = str(account.config_file)
    look = look_at(place, Request(environ, Path.home(), account.profile))
    if look.state is not State.USABLE:
        raise ConfigurationError(f"account {account.name}: credentials in {look.place}: {look.words}")
    return look


def _file(path: Path) -> FilePlace:
    try:
        is_object = path.read_bytes().removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")
    except OSError:
        is_object = False  # looking at it will tell
    if is_object:
        return FilePlace(str(path), Names("ak", "sk"), pick_object)
    return FilePlace(str(path), Names("access_key_id", "secret_access_key", "session_token"), pick_ini)
