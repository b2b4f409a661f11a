"""The user of a command: log messages, unless they are not wanted, and a question."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import click

from stopcast.cli.options import OutputOptions
from stopcast.cli.output import log
from stopcast.cli.wrapping import STANDARD_ERROR, wrapped_for
from stopcast.i18n import _
from stopcast.sources.chunks import STANDARD_INPUT, Chunks


@dataclass(frozen=True, slots=True)
class User:
    """The user of a command, over the standard streams.

    Attributes:
        output: what the user wants to read.
    """

    output: OutputOptions

    def log(self, text: str, *, event: str, **fields: Any) -> None:
        """Log a message, unless ``--quiet`` was given."""
        if not self.output.quiet:
            log(text, event=event, **fields)

    async def confirms(self, question: str) -> bool:
        """Return whether the user answers yes."""
        # Not click's own question: it blocks the event loop, and with it the signals.
        click.echo(wrapped_for(STANDARD_ERROR, _("{question} [y/N]: ", question=question)), nl=False, err=True)
        try:
            with Chunks(STANDARD_INPUT) as typed:
                answer = await typed.next()
        except asyncio.CancelledError:
            # Control-C leaves the cursor behind the question.
            click.echo(err=True)
            raise
        if not answer:
            # So does Control-D.
            click.echo(err=True)
        return (answer or b"").strip().lower() in {b"y", b"yes"}
