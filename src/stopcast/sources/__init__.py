"""Lists of tasks as batches of rows: from a file, a FIFO or standard input, or from a program's own objects.

In flow bytes, whatever they are: compressed, in any encoding, with any line end, delimited, JSON or a workbook. Out
flow batches of rows, small enough for the event loop to have its turn in between, and before them one value that says
how the list was understood. Whether a row names a task is not checked here. ``list_reader`` puts these steps together:

1. A thread reads the bytes (``chunks``), decompresses them (``compression``), and makes UTF-8 text with line feeds of
   them (``text``), or one JSON array for each row of a workbook (``spreadsheet``). ``other_files`` knows what is no
   list.
2. The first line says what the text is (``forms``): lines of delimited text (``csv_rows``) or JSON values
   (``json_rows``), which are one a line (``lines``) or not (``json_values``).
3. The first rows say where the ids stand (``csv_beginning``, ``header``, ``columns``); each later row is read by that
   (``table``). A list that is an earlier report is filtered (``report_lines``).

The objects of a program take a shorter way: ``iterables`` reads them, and ``objects`` finds the ids of each.

What can go wrong with a row is a BrokenRow, and never stops the others. What can go wrong with the whole list is a
ListError: before the first row where it is not understood, after the rows that could be read where it ends too early. A
row that can be read in two ways is broken. Nothing takes more memory than a few chunks, except a workbook.
"""

from __future__ import annotations

from stopcast.sources.chunks import Extent
from stopcast.sources.columns import Columns
from stopcast.sources.forms import Form, ReadOptions
from stopcast.sources.list_reader import ListReader, Understood
from stopcast.sources.report_lines import ReportFilter

__all__ = ["Columns", "Extent", "Form", "ListReader", "ReadOptions", "ReportFilter", "Understood"]
