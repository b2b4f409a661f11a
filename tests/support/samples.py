"""Lists as programs write them, as samples: what each is, and what comes of it."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from stopcast.errors import ListError
from stopcast.sources import Form
from stopcast.tasks.intake import Intake
from support.lists import open_list

HEADER: Final = "AppId,RoomId,TaskId\n"
FIRST, SECOND = "a1,r1,t1", "a2,r2,t2"
#: What the name of a list ends in makes no difference.
_NAMES: Final = ["list", "list.csv", "list.json"]
BOTH: Final = [FIRST, SECOND]
OBJECTS: Final = [dict(zip(("AppId", "RoomId", "TaskId"), ids.split(","), strict=True)) for ids in BOTH]


@dataclass(frozen=True)
class Sample:
    """A list: what it comes from, its bytes, and the tasks that are sent or the words of the refusal."""

    origin: str
    content: str | bytes
    tasks: list[str] | None = None
    refusal: str = ""
    invalid: int = 0
    encoding: str | None = None

    async def check(self, directory: Path) -> None:
        """Read the sample from files of several names in this directory, and check what comes of it."""
        for name in _NAMES:
            await self._check(directory / name)

    async def _check(self, path: Path) -> None:
        path.write_bytes(self.content.encode() if isinstance(self.content, str) else self.content)
        intake, sent = Intake(), []
        error = ""
        try:
            async with aclosing(open_list(path, form=Form.AUTO, encoding=self.encoding)) as batches:
                async for batch in batches:
                    sent += [",".join(row.task) for row in intake.take(batch, 0.0).accepted]
        except ListError as caught:
            error = str(caught)
        assert (sent, intake.invalid) == (self.tasks or [], self.invalid), (path.name, error)
        assert self.refusal in error, path.name
        assert bool(error) is bool(self.refusal), (path.name, error)


def each_of(samples: list[Sample]) -> pytest.MarkDecorator:
    """Run a test with each of the samples."""
    return pytest.mark.parametrize("sample", samples, ids=lambda sample: sample.origin)


def delimited(delimiter: str, header: str = "AppId,RoomId,TaskId", *rows: str) -> str:
    return "".join(line.replace(",", delimiter) + "\n" for line in (header, *(rows or BOTH)))
