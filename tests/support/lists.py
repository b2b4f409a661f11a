"""The rows of a list, as a test reads them."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from stopcast.sources import ListReader, Reading
from stopcast.tasks.task import Batch


async def open_list(path: str | os.PathLike[str], **reading: Any) -> AsyncGenerator[Batch, None]:
    """Yield a list's rows as they arrive; what is not None of ``reading`` are fields of a ``Reading``."""
    given = {name: value for name, value in reading.items() if value is not None}
    async with ListReader(os.fspath(path), Reading(**given)) as reader, aclosing(reader.batches()) as batches:
        async for batch in batches:
            yield batch
