"""Lists of tasks: CSV, TSV and JSON lines, from a file, a FIFO or standard input, as batches of rows.

Bytes flow in and batches flow out, small enough for the event loop to have its turn in between; whether a row names a
task is not checked here. What can go wrong with a line is a BrokenRow; what can go wrong with the whole list is a
ListError, after the rows that could be read.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator

from stopcast.errors import ListError
from stopcast.sources.choice import Choice
from stopcast.sources.chunks import STANDARD_INPUT, Chunks
from stopcast.sources.columns import Columns
from stopcast.sources.extent import Extent
from stopcast.sources.forms import Form
from stopcast.sources.row_reader import RowReader
from stopcast.tasks.task import Batch

__all__ = ["Choice", "Columns", "Extent", "Form", "open_list"]


async def open_list(
    path: str | os.PathLike[str],
    *,
    form: Form = Form.AUTO,
    columns: Columns | None = None,
    choice: Choice | None = None,
    extent: Extent | None = None,
) -> AsyncGenerator[Batch, None]:
    """Yield a list's rows as they arrive.

    Args:
        path: the list, "-" for standard input; gzip is recognised by its bytes.
        form: how it is written.
        columns: the names of the three columns or keys, where they are not the API's.
        choice: where the list is an earlier report, which of its lines to take; by default those that did not go well.
        extent: kept true while the list is read, for whoever wants to know how much of it is left.

    Raises:
        ListError: the list cannot be opened, or not be read to its end; the rows before that were yielded.
    """
    source = os.fspath(path)
    try:
        reader = RowReader(source, form=form, columns=columns or Columns(), choice=choice or Choice())
        cut_short: ListError | None = None
        with Chunks(source, extent) as chunks:
            chunk: bytes | None = b""
            while chunk is not None:
                try:
                    chunk = await chunks.next()
                except ListError as error:
                    chunk, cut_short = None, error
                batches = reader.finish(cut_short=cut_short is not None) if chunk is None else reader.feed(chunk)
                for batch in batches:
                    if batch.rows or batch.broken or batch.left_out or batch.too_old:
                        yield batch
                    await asyncio.sleep(0)
        if cut_short is not None:
            raise cut_short
    except ListError as error:
        name = "standard input" if source == STANDARD_INPUT else source
        raise ListError(f"{name}: {error}") from error.__cause__
