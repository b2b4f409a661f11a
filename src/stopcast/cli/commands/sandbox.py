"""``stopcast sandbox``: serves the emulator until a signal ends it."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stopcast.api.actions import GET_WEBCAST_TASK, QUOTA_PER_SECOND
from stopcast.cli.errors import report_errors
from stopcast.cli.options.option import Number, Whole, option
from stopcast.errors import ConfigurationError, InterruptedRunError
from stopcast.i18n import _

if TYPE_CHECKING:
    from stopcast.sandbox import Emulator

_PEM_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_MILLISECONDS = Number(0)


@click.command()
@option("--port", type=Whole(0, 65535), default=0, help="Port to listen at; 0 for any free port.")
@option("--latency", "latency_ms", metavar="MS", type=_MILLISECONDS, default=0, help="Latency of each answer.")
@option(
    "--jitter",
    "jitter_ms",
    metavar="MS",
    type=_MILLISECONDS,
    default=0,
    help="Random variation of the latency, in both directions.",
)
@option(
    "--quota",
    "quota_per_second",
    envvar="STOPCAST_SANDBOX_QUOTA",  # STOPCAST_QUOTA is where the other commands' shared quota is
    metavar="N",
    type=Whole(min=0),
    default=QUOTA_PER_SECOND,
    help="Calls allowed in any sliding second; others are throttled. 0 for no quota.",
)
@option(
    "--query-quota",
    "query_quota_per_second",
    metavar="N",
    type=Whole(min=0),
    default=GET_WEBCAST_TASK.quota_per_second,
    help="The same for calls that query a task; 0 for no quota.",
)
@option(
    "--fault",
    "faults",
    metavar="NAME=SHARE%",
    multiple=True,
    help="Inject a fault into this share of the calls, as in reset=2%; may be repeated. The names are above.",
)
@option("--tls-cert", type=_PEM_FILE, help="Serve https, with this certificate and its chain (PEM).")
@option("--tls-key", type=_PEM_FILE, help="The certificate's private key (PEM).")
@option("--seed", type=Whole(), default=0, help="Seed of the random numbers for faults and jitter.")
@report_errors
def sandbox(
    *,
    port: int,
    latency_ms: float,
    jitter_ms: float,
    quota_per_second: int,
    query_quota_per_second: int,
    faults: tuple[str, ...],
    tls_cert: Path | None,
    tls_key: Path | None,
    seed: int,
) -> None:
    """Serve an emulator of the API on this machine. Nothing real is called or stopped.

    Every well-formed task runs until it is stopped. The first line of standard output is the address for --endpoint;
    GET /stats there returns the calls so far, GET /tasks the tasks that were stopped. Ends at SIGINT, SIGTERM or
    SIGHUP, with status 0.

    \b
    Faults that do not stop the task:
      throttled      HTTP 429, too many calls
      throttled_200  the same inside HTTP 200
      internal       HTTP 500 of the API
      unavailable    HTTP 503 of the API, with Retry-After
      timestamp      the request's time is refused
      access_key, signature, denied
                     the account is refused
      app            the AppId is refused
      parameter      the task is refused
      gone           the task is not running (any more)
      ignored        HTTP 200 and ok, but the task goes on
      html_502       HTTP 502 and a page, as from a proxy
      redirect       HTTP 302
      empty          HTTP 200 and an empty body
      not_json       HTTP 200 and a page
      huge           HTTP 200 and 64 MB
      hang           no answer
      close, reset   the connection ends without an answer
    Faults after the task was stopped:
      close_after, reset_after
                     the connection ends without an answer
      cut_body       the connection ends within the answer
      drip           the answer comes at a byte a second
      gzip           the answer is compressed without being asked for
    Any error code of the API is the name of a fault too, such as LackPolicy.
    """  # noqa: D301 - \b is click's mark for lines that it must not wrap
    from stopcast.cli import event_loop
    from stopcast.sandbox import Emulator, Faults

    try:
        hits = Faults.parse(",".join(faults))
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    emulator = Emulator(
        port=port,
        ssl_context=_ssl_context(tls_cert, tls_key),
        quota_per_second=quota_per_second or None,
        query_quota_per_second=query_quota_per_second or None,
        faults=replace(hits, latency_seconds=latency_ms / 1000, jitter_seconds=jitter_ms / 1000, seed=seed),
    )
    with suppress(InterruptedRunError):
        event_loop.run(_serve(emulator, certificate=tls_cert.absolute() if tls_cert else None))
    click.echo(_figures(emulator), err=True)


def _figures(emulator: Emulator) -> str:
    """Return a sentence about the calls that the emulator got."""
    figures = {
        "calls": emulator.calls,
        "stopped": len(emulator.stopped),
        "throttled": emulator.throttled,
        "worst": emulator.worst_second(),
        "rate": f"{emulator.rate():.1f}",
    }
    if emulator.queries:
        return _(
            "{calls} calls, {stopped} tasks stopped, {throttled} calls over the quota, {worst} calls in the worst "
            "second, {rate} calls a second on average; {queries} queries of tasks",
            **figures,
            queries=len(emulator.queries),
        )
    return _(
        "{calls} calls, {stopped} tasks stopped, {throttled} calls over the quota, {worst} calls in the worst second, "
        "{rate} calls a second on average",
        **figures,
    )


def _ssl_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise click.UsageError("--tls-cert and --tls-key need each other: name both")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise click.UsageError(f"--tls-cert, --tls-key: {error}") from None
    return context


async def _serve(emulator: Emulator, *, certificate: Path | None) -> None:
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(emulator)
        except OSError as error:
            raise click.UsageError(f"--port: {error.strerror}. Leave it out, and any free port is taken") from None
        click.echo(emulator.url)
        click.echo(f"export VOLCENGINE_ACCESS_KEY={emulator.credentials.access_key}", err=True)
        click.echo(f"export VOLCENGINE_SECRET_KEY={emulator.credentials.secret_key}", err=True)
        if certificate:
            click.echo(f"export SSL_CERT_FILE={certificate}", err=True)
        click.echo(f"stopcast run tasks.csv --endpoint {emulator.url}", err=True)
        await asyncio.Event().wait()
