"""Lists of tasks, from a file, a FIFO or standard input, as batches of rows.

In flow bytes, whatever they are: compressed, in any encoding, with any line end, delimited, JSON or a workbook. Out
flow batches of rows, small enough for the event loop to have its turn in between, and before them one value that says
how the list was understood. Whether a row names a task is not checked here.

1. A thread reads the bytes (``chunks``), decompresses them (``compression``), and makes UTF-8 text with line feeds of
   them (``text``), or one JSON array for each row of a workbook (``spreadsheet``).
2. The first line says what the text is (``forms``): lines of delimited text (``csv_rows``) or JSON values
   (``json_rows``), which are one a line (``lines``) or not (``json_values``).
3. The first rows say where the ids stand (``beginning``, ``columns``); each later row is read by that (``table``).

What can go wrong with a row is a BrokenRow, and never stops the others. What can go wrong with the whole list is a
ListError: before the first row where it is not understood, after the rows that could be read where it ends too early. A
row that can be read in two ways is broken. Nothing takes more memory than a few chunks, except a workbook.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing

from stopcast.sources.chunks import Extent
from stopcast.sources.columns import Choice, Columns
from stopcast.sources.forms import Form, Reading
from stopcast.sources.list_reader import ListReader, Understood
from stopcast.tasks.task import Batch

__all__ = ["Choice", "Columns", "Extent", "Form", "ListReader", "Reading", "Understood", "open_list"]


async def open_list(
    path: str | os.PathLike[str],
    *,
    form: Form = Form.AUTO,
    delimiter: str | None = None,
    encoding: str | None = None,
    columns: Columns | None = None,
    choice: Choice | None = None,
    extent: Extent | None = None,
) -> AsyncGenerator[Batch, None]:
    """Yield a list's rows as they arrive.

    Args:
        path: the list, "-" for standard input.
        form: how it is written, where the content does not say it.
        delimiter: of the fields, where it is not to be detected.
        encoding: of the text, where it is not to be detected.
        columns: the names or the places of the three columns or keys, where they are not the API's.
        choice: where the list is an earlier report, which of its lines to take; by default those that did not go well.
        extent: is kept true while the list is read, and says how much of it is left.

    Raises:
        ListError: the list cannot be opened, or not be read to its end; the rows before that were yielded.
    """
    reading = Reading(form, delimiter, encoding, columns or Columns(), choice or Choice())
    async with ListReader(os.fspath(path), reading, extent) as reader, aclosing(reader.batches()) as batches:
        async for batch in batches:
            yield batch
