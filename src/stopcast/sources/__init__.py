"""Lists of tasks: CSV, TSV and JSON lines, from a file, a FIFO or standard input, as batches of rows.

Bytes flow in and batches flow out, small enough for the event loop to have its turn in between; whether a row names a
task is not checked here. What can go wrong with a line is a BrokenRow; what can go wrong with the whole list is a
ListError, after the rows that could be read.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Collection

from stopcast.errors import ListError
from stopcast.outcome import Status
from stopcast.sources.chunks import STANDARD_INPUT, Chunks
from stopcast.sources.columns import Columns
from stopcast.sources.forms import Form
from stopcast.sources.row_reader import RowReader
from stopcast.task import Batch

__all__ = ["Columns", "Form", "open_list"]


async def open_list(
    path: str | os.PathLike[str],
    *,
    form: Form = Form.AUTO,
    columns: Columns | None = None,
    only: Collection[Status] | None = None,
) -> AsyncGenerator[Batch, None]:
    """Yield a list's rows as they arrive.

    Args:
        path: the list, "-" for standard input; gzip is recognised by its bytes.
        form: how it is written.
        columns: the names of the three columns or keys, where they are not the API's.
        only: where the list is an earlier report, the statuses whose rows to take. By default those that are not good
            are taken of a report, and every row of any other list.

    Raises:
        ListError: the list cannot be opened, or not be read to its end; the rows before that were yielded.
    """
    source = os.fspath(path)
    try:
        reader = RowReader(
            source, form=form, columns=columns or Columns(), only=None if only is None else frozenset(only)
        )
        cut_short: ListError | None = None
        with Chunks(source) as chunks:
            chunk: bytes | None = b""
            while chunk is not None:
                try:
                    chunk = await chunks.next()
                except ListError as error:
                    chunk, cut_short = None, error
                batches = reader.finish(cut_short=cut_short is not None) if chunk is None else reader.feed(chunk)
                for batch in batches:
                    if batch.rows or batch.broken or batch.left_out:
                        yield batch
                    await asyncio.sleep(0)
        if cut_short is not None:
            raise cut_short
    except ListError as error:
        name = "standard input" if source == STANDARD_INPUT else source
        raise ListError(f"{name}: {error}") from error.__cause__
