"""Excel workbooks as lists. They are made by hand here, so that each cell has the type that it is to have."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from stopcast.errors import ListError
from stopcast.sources import Columns, Form, ListReader, ReadOptions
from stopcast.tasks.intake import Intake
from stopcast.tasks.outcome import Outcome
from support.lists import open_list

pytest.importorskip("python_calamine")

HEADER = ["AppId", "RoomId", "TaskId"]
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def cell(value: str | float) -> str:
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>' if value else "<c/>"
    return f"<c><v>{value!r}</v></c>"


def workbook(*sheets: Sequence[Sequence[str | float]]) -> bytes:
    """Return a workbook with these sheets: rows of strings and numbers."""
    numbers = range(1, len(sheets) + 1)
    overrides = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{_SHEET}.worksheet+xml"/>' for n in numbers
    )
    names = "".join(f'<sheet name="Sheet {n}" sheetId="{n}" r:id="r{n}"/>' for n in numbers)
    relations = "".join(
        f'<Relationship Id="r{n}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in numbers
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_SHEET}.sheet.main+xml"/>{overrides}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" '
        f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{names}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{relations}</Relationships>',
    }
    for number, rows in zip(numbers, sheets, strict=True):
        data = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
        parts[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{_MAIN}"><sheetData>{data}</sheetData></worksheet>'
        )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, '<?xml version="1.0" encoding="UTF-8"?>' + text)
    return file.getvalue()


class Read:
    """What is sent of a list, and what is not."""

    def __init__(self) -> None:
        self.intake = Intake()
        self.sent: list[tuple[str, int | None]] = []
        self.refused: list[Outcome] = []


async def read(path: Path, content: bytes, columns: Columns | None = None) -> Read:
    path.write_bytes(content)
    found = Read()
    async with aclosing(open_list(path, columns=columns)) as batches:
        async for batch in batches:
            taken = found.intake.take(batch, 0.0)
            found.sent += [(",".join(row.task), row.line) for row in taken.accepted]
            found.refused += taken.outcomes
    return found


@pytest.mark.parametrize("name", ["tasks.xlsx", "tasks.csv", "tasks"])
async def test_a_workbook_is_read_whatever_its_name_says(tmp_path: Path, name: str) -> None:
    found = await read(tmp_path / name, workbook([HEADER, ["a", "r", "t1"], ["a", "r", "t2"]]))
    assert found.sent == [("a,r,t1", 2), ("a,r,t2", 3)]


async def test_the_first_sheet_with_the_three_columns_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tasks.xlsx"
    path.write_bytes(workbook([["Notes"], ["x"]], [["Tasks of today"], [], ["Note", *HEADER], ["n", "a", "r", "t"]]))
    async with ListReader(str(path), ReadOptions()) as reader:
        understood = await reader.understand()
        rows = [row async for batch in reader.batches() for row in batch.rows]
    assert (understood.form, understood.sheet, understood.header_line) == (Form.XLSX, "Sheet 2", 3)
    assert [tuple(row) for row in rows] == [("a", "r", "t", 4)]


async def test_a_number_is_an_id_until_a_spreadsheet_rounds_it_and_is_warned_of(tmp_path: Path) -> None:
    rows: list[list[str | float]] = [
        ["a", 1001.0, "t"],
        ["a", "r", 999_999_999_999_999.0],
        ["a", "r", 1e15],
        ["a", "r", 1.5],
    ]
    found = await read(tmp_path / "tasks.xlsx", workbook([HEADER, *rows]))
    assert found.sent == [("a,1001,t", 2), ("a,r,999999999999999", 3)]
    assert [outcome.line for outcome in found.refused] == [5, 4]
    assert any("more than 15 digits" in (outcome.message or "") for outcome in found.refused)
    assert found.intake.numbers == 3


async def test_the_header_again_and_blank_rows_are_no_tasks(tmp_path: Path) -> None:
    found = await read(tmp_path / "tasks.xlsx", workbook([HEADER, ["a", "r", "t"], [], ["", "", ""], HEADER]))
    assert found.sent == [("a,r,t", 2)]
    assert [(outcome.line, outcome.message) for outcome in found.refused] == [(5, "the header again")]


async def test_columns_are_found_by_their_places_too(tmp_path: Path) -> None:
    content = workbook([["任务", "应用", "房间"], ["t", "a", "r"]])
    found = await read(tmp_path / "tasks.xlsx", content, Columns.parse("app=2,room=3,task=1"))
    assert found.sent == [("a,r,t", 2)]


async def test_a_workbook_without_the_columns_is_refused_by_the_name_of_its_sheet(tmp_path: Path) -> None:
    with pytest.raises(ListError, match=r"sheet 'Sheet 1'.*--columns"):
        await read(tmp_path / "tasks.xlsx", workbook([["app", "room", "task"], ["a1", "r1", "t1"]]))


async def test_without_the_extra_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(ListError, match=r"Excel workbook.*pip install 'stopcast\[excel\]'"):
        await read(tmp_path / "tasks.xlsx", workbook([HEADER]))
