"""Where the calls of each account go, and at which cap: what the options say about it. Keys are not searched here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stopcast.accounts.file import AccountEntry, read_accounts
from stopcast.api.actions import Action
from stopcast.api.endpoint import DEFAULT_ENDPOINT, Endpoint
from stopcast.cli.options import CallOptions
from stopcast.cli.options.calls import check_cap
from stopcast.errors import ConfigurationError

if TYPE_CHECKING:
    from stopcast.fleet.quota.shared_quota import SharedQuota


def named_accounts(calls: CallOptions) -> tuple[list[AccountEntry], dict[str, str] | None]:
    """Return the accounts of the accounts file and its routes, or the only account, which has no name, and None.

    Raises:
        ConfigurationError: the file cannot be used, or ``--sandbox`` and ``--endpoint`` contradict each other.
    """
    if calls.sandbox and calls.endpoint:
        raise ConfigurationError("--sandbox brings its own endpoint; leave --endpoint out, or --sandbox")
    if calls.accounts is None:
        return [AccountEntry(name="", apps=())], None
    return read_accounts(calls.accounts)


def endpoint_of(calls: CallOptions, account: AccountEntry, *, key_region: str | None = None) -> Endpoint:
    """Return where the account's calls go.

    Raises:
        ConfigurationError: the address, the region or the version is not valid.
    """
    return Endpoint.parse(
        account.endpoint or calls.endpoint or DEFAULT_ENDPOINT,
        region=account.region or calls.region,
        key_region=key_region,
        version=calls.api_version,
    )


def cap_of(calls: CallOptions, own: float | None, *, stops_tasks: bool) -> float:
    """Return the most calls a second. An account's own cap is for stopping tasks; queries have another quota."""
    return own if stops_tasks and own is not None else calls.max_per_second


def checked_cap(calls: CallOptions, own: float | None, action: Action, *, loopback: bool) -> float:
    """Return the account's cap.

    Raises:
        ConfigurationError: it is above the account's quota.
    """
    cap = cap_of(calls, own, stops_tasks=action.stops_tasks)
    check_cap(cap, action.quota_per_second, raised=calls.raised_quota or loopback)
    return cap


def account_of_quota(calls: CallOptions, name: str) -> str:
    """Return the account whose quota is shared: an accounts file names its accounts itself, one cap for each."""
    return name or calls.account or ""


def shared_quota(calls: CallOptions, name: str, action: Action, max_per_second: float) -> SharedQuota | None:
    """Return the quota that the account shares with other processes, not entered yet; None if it shares none.

    Raises:
        ConfigurationError: a setting that cannot be used.
    """
    if calls.quota is None:
        return None
    from stopcast.fleet.quota.shared_quota import SharedQuota

    return SharedQuota(
        calls.quota,
        account=account_of_quota(calls, name),
        action=action.name,
        max_per_second=max_per_second,
        arrival_jitter=calls.arrival_jitter,
        lost_share=calls.quota_lost,
    )
