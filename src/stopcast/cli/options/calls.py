"""The options that say how the API is called."""

from __future__ import annotations

import re
from dataclasses import dataclass

import click

from stopcast.cli.options.option import FileName, Number, Whole, setting
from stopcast.errors import ConfigurationError
from stopcast.i18n import translate


def _lost_share(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    if value is None or value == "stop":
        return None
    if not (share := re.fullmatch(r"share:([1-9]\d{0,5})", value)):
        raise click.BadParameter(
            "it must be stop, or share:N, where N is the largest number of processes that share the quota", ctx, param
        )
    return int(share[1])


def _proxy(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    from stopcast.api.network import Proxy

    try:
        if value is not None:
            Proxy.parse(value)
    except ConfigurationError as error:
        # Only the whole sentence can be translated; the option's name stands before it anyway.
        raise click.BadParameter(re.sub(r"^proxy\W+", "", translate(str(error))), ctx, param) from None
    return value


def check_cap(max_per_second: float, quota: int, *, raised: bool) -> None:
    """Refuse a cap above the account's quota, unless the vendor has raised that.

    Raises:
        ConfigurationError: the cap is too high.
    """
    if max_per_second > quota and not raised:
        raise ConfigurationError(
            f"--max-per-second {max_per_second:g} is above the account's quota of {quota}; "
            f"where the vendor has raised it, add --raised-quota"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """How the API is called.

    ``quota_lost`` is None for no calls while the shared quota is away, or N for one N-th of the cap.

    Raises:
        click.UsageError: a shared quota without an account.
    """

    max_per_second: float = setting(
        "--max-per-second",
        type=Number(0.001),
        default=150,
        metavar="N",
        help="The cap on calls.",
    )
    raised_quota: bool = setting(
        "--raised-quota",
        is_flag=True,
        help="The vendor has raised the account's quota; allow a cap above the usual one.",
    )
    arrival_jitter_ms: float | None = setting(
        "--arrival-jitter",
        type=Number(0, 60_000),
        metavar="MS",
        help="By how much the way to the API varies; comes off the rate. [3.3]",
    )
    max_at_once: int = setting(
        # Each needs a port of this machine.
        "--max-at-once",
        type=Whole(1, most=65_535),
        default=512,
        metavar="N",
        help="Calls in flight.",
    )
    max_attempts: int = setting("--max-attempts", type=Whole(1), default=20, metavar="N", help="For one task.")
    timeout_seconds: float = setting(
        "--timeout",
        type=Number(0, min_open=True),
        default=15,
        metavar="SECONDS",
        help="For one call.",
    )
    grace_seconds: float = setting(
        "--grace", type=Number(0), default=15, metavar="SECONDS", help="To finish after a signal."
    )
    accounts: str | None = setting(
        "--accounts",
        type=FileName(readable=False),
        metavar="FILE",
        help="Several accounts: the AppIds of each, and where its key is (TOML).",
    )
    endpoint: str | None = setting("--endpoint", metavar="URL", help="Where the calls go. Plain http only to loopback.")
    proxy: str | None = setting(
        "--proxy",
        callback=_proxy,
        metavar="URL",
        help="An HTTP proxy, asked by CONNECT; a password: better in STOPCAST_PROXY. HTTP_PROXY is not obeyed.",
    )
    region: str | None = setting("--region", metavar="R", help="The region that signatures name.")
    api_version: str = setting("--api-version", metavar="V", default="2020-12-01", help="Of the API.")
    sandbox: bool = setting(
        "--sandbox",
        is_flag=True,
        help="Against an emulator of the API in this process: nothing real, no credentials.",
    )
    quota: str | None = setting(
        "--quota",
        metavar="URL",
        help="Share the cap with all processes that name this Redis and account: redis://host:6379/0",
    )
    account: str | None = setting("--account", metavar="NAME", help="Whose cap it is; with --quota.")
    quota_lost: int | None = setting(
        "--quota-lost",
        callback=_lost_share,
        metavar="stop|share:N",
        help="While that Redis is away: no calls, or one N-th of the cap. [stop]",
    )

    @property
    def arrival_jitter(self) -> float:
        """By how many seconds the way to the API varies."""
        from stopcast.limiters.pacer import ARRIVAL_JITTER

        return ARRIVAL_JITTER if self.arrival_jitter_ms is None else self.arrival_jitter_ms / 1000

    def __post_init__(self) -> None:
        if self.quota and not (self.account or self.accounts):
            raise click.UsageError("--quota needs --account NAME: processes that name the same account share the cap")
