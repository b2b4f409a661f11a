"""JSON: objects, arrays and broken values."""

from __future__ import annotations

import re

import pytest

from stopcast.i18n import Language, speaking, translate
from stopcast.sources import Columns, Form
from stopcast.tasks.task import BrokenRow, RawRow
from support.processes import Shell, read_report
from support.reading import Read, Written, read


async def test_objects_and_arrays_are_rows(written: Written) -> None:
    lines = [
        '{"AppId":"a","RoomId":"r","TaskId":"1"}',
        ' {"task_id":"2","x":[{}],"app id":"a","ROOM-ID":"r"} ',
        '["a","r","3"]',
    ]
    assert (await read(written("\n".join(lines), "x.jsonl"))).ids == [("a", "r", "1"), ("a", "r", "2"), ("a", "r", "3")]


async def test_values_that_are_no_strings_and_missing_keys_are_passed_on(written: Written) -> None:
    found = await read(written('{"AppId":1,"RoomId":null,"x":2}\n[true,{},[]]\n', "x.jsonl"))
    assert found.ids == [(1, None, None), (True, {}, [])]


async def test_keys_may_have_other_names(written: Written) -> None:
    found = await read(written('{"A":"a","R":"r","t_":"t","AppId":"x"}\n', "x.json"), columns=Columns("a", "r", "t"))
    assert found.ids == [("a", "r", "t")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"AppId":"a"', "not JSON: unexpected end of data"),
        ('["a","r"]', "an array of 2, not of 3"),
        ('"a,r,t"', "neither an object nor an array"),
        ("null", "neither an object nor an array"),
        ("a,r,t", "not JSON: unexpected character"),
        (
            '{"app_id":"a","appid":"b","RoomId":"r","TaskId":"t"}',
            "AppId stands under several keys with different values: 'app_id', 'appid'",
        ),
        ("[" * 5000, "not JSON: "),
    ],
)
async def test_a_line_that_is_no_row_is_broken(written: Written, line: str, reason: str) -> None:
    found = await read(written(f'{line}\n["b","r","t"]\n', "x.ndjson"), form=Form.JSONL)
    assert found.rows == [RawRow("b", "r", "t", 2)]
    assert [row.line for row in found.broken] == [1]
    assert found.broken[0].reason.startswith(reason)


BROKEN = [
    *[
        "{",
        "{x",
        '{"a" 1}',
        "[1 2]",
        '{"a":1 2}',
        "5 x",
        "[1,]",
        "trxe",
        "faxse",
        "nxll",
        '"\x01"',
        r'"\q"',
        "01",
        "-x",
    ],
    *["1.x", "1ex", "[" * 3000, "x"],
]


@pytest.mark.parametrize("line", BROKEN)
async def test_a_reason_of_the_json_library_is_shown_in_chinese_too(written: Written, line: str) -> None:
    (broken,) = (await read(written(f'["a","r","t"]\n{line}\n'), form=Form.JSONL)).broken
    with speaking(Language.ZH):
        assert re.search("[a-z]{3}", re.sub("'[a-z]+'", "", translate(broken.reason))) is None


async def test_a_line_with_broken_utf_8_is_broken(written: Written) -> None:
    found = await read(written(b'["c","r","t"]\n["a","r","\xff"]\n["b","r","t"]\n', "x.jsonl"))
    assert "--encoding" in found.broken[0].reason
    assert (len(found.broken), found.ids) == (1, [("c", "r", "t"), ("b", "r", "t")])


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.json", "x.jsonl", "x.xlsx", "x"])
@pytest.mark.parametrize(
    "content",
    [
        "AppId,RoomId,TaskId\na,r,t\n",
        "AppId\tRoomId\tTaskId\na\tr\tt\n",
        "AppId;RoomId;TaskId\na;r;t\n",
        "AppId|RoomId|TaskId\na|r|t\n",
        "sep=;\nAppId;RoomId;TaskId\na;r;t\n",
        "a,r,t\n",
        "a\tr\tt",
        '{"AppId":"a","RoomId":"r","TaskId":"t"}\n',
        '{"AppId":"a","RoomId":"r","TaskId":"t"}',
        '\n\n {"AppId":"a",\n"RoomId":"r","TaskId":"t"}',
        '[{"AppId":"a","RoomId":"r","TaskId":"t"}]',
        '[\n{"AppId":"a","RoomId":"r","TaskId":"t"}\n]\n',
        '[\n  {\n    "AppId": "a",\n    "RoomId": "r",\n    "TaskId": "t"\n  }\n]\n',
        '["a","r","t"]',
        '[["a","r","t"]]',
        '["AppId","RoomId","TaskId"]\n["a","r","t"]',
    ],
)
async def test_the_content_says_the_form_whatever_the_name_says(written: Written, name: str, content: str) -> None:
    found = await read(written(content, name))
    assert (found.ids, found.broken, found.error) == ([("a", "r", "t")], [], None)


async def test_a_form_that_is_given_goes_before_the_content(written: Written) -> None:
    assert (await read(written('["a","r","t"]', "x.csv"), form=Form.JSONL)).ids == [("a", "r", "t")]
    assert (await read(written("a\tx,r,t", "x.csv"), form=Form.TSV)).error is not None
    assert "not an Excel workbook" in str((await read(written("a,r,t"), form=Form.XLSX)).error)


async def test_a_first_line_that_is_too_long_does_not_settle_the_form(written: Written) -> None:
    found = await read(written('["' + "a" * 70_000 + '"]\n["a","r","t"]\n', "x"))
    assert found == Read([RawRow("a", "r", "t", 2)], [BrokenRow("longer than 65536 bytes", 1)])
    assert "longer than 65536 bytes" in str((await read(written("x" * 70_000 + "\na,r,t", "x"))).error)
    assert "jq" in str((await read(written('{"data":[{' + " " * 70_000 + "}]}", "x"))).error)


@pytest.mark.parametrize("value", ["NaN", "-Infinity", '"\\ud83d"', "1" * 400, "1e999"])
async def test_a_value_that_only_some_programs_write_is_no_hindrance_beside_the_ids(
    written: Written, value: str
) -> None:
    row = f'{{"AppId":"a","RoomId":"r","TaskId":"t","x":{value}}}'
    for content in (f"{row}\n{row}\n", f"[{row},\n{row}]"):
        found = await read(written(content))
        assert (found.ids, found.broken, found.error) == ([("a", "r", "t")] * 2, [], None)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("NaN", "TaskId is nan, which JSON does not have, and not a string"),
        ('"\\ud83d"', "TaskId may not hold '\\ud83d'"),
    ],
)
def test_such_a_value_is_no_id(shell: Shell, value: str, reason: str) -> None:
    (shell / "list.jsonl").write_text(f'{{"AppId":"a","RoomId":"r","TaskId":{value}}}\n')
    assert shell.run("run", "list.jsonl", "--sandbox").status == 1
    assert read_report(shell / "stopcast-report.jsonl")[0]["message"].startswith(reason)
