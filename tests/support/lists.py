"""The rows of a list, as a test reads them."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from typing import Any

from stopcast.sources import ListReader, ReadOptions, ReportFilter
from stopcast.sources.forms import parser_of
from stopcast.tasks.outcome import Status
from stopcast.tasks.task import Batch


async def open_list(path: str | os.PathLike[str], **options: Any) -> AsyncGenerator[Batch, None]:
    """Yield a list's rows as they arrive; what is not None of ``options`` are fields of a ``ReadOptions``."""
    given = {name: value for name, value in options.items() if value is not None}
    async with ListReader(os.fspath(path), ReadOptions(**given)) as reader, aclosing(reader.batches()) as batches:
        async for batch in batches:
            yield batch


def rows_of(texts: Iterable[bytes], options: ReadOptions) -> Iterator[Batch]:
    """Yield the rows of a list whose text is at hand, in these pieces."""
    parser, unread = None, b""
    for text in (*texts, None):
        unread += text or b""
        parser = parser or parser_of(unread, "list", options, ended=text is None)
        if parser is not None:
            yield from parser.parse(unread)
            unread = b""
    if parser is not None:
        yield from parser.finish()


def only(*statuses: Status) -> ReportFilter:
    """Return the filter of ``--only``."""
    return ReportFilter(frozenset(statuses), reports_only=True)
