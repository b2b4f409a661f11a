"""CSV and TSV: headers, columns and quotes."""

from __future__ import annotations

import pytest

from stopcast.errors import ConfigurationError
from stopcast.sources import Columns
from stopcast.sources.csv_rows import AMBIGUOUS
from stopcast.tasks.task import BrokenRow, RawRow
from support.reading import HEADER, Read, Written, read

NO_HEADER = "the first row is not a header with AppId, RoomId, TaskId, and a list without a header must have 3 columns"


@pytest.mark.parametrize(
    "header",
    [
        "AppId,RoomId,TaskId",
        "app_id,room-id,TASK ID",
        " appid , ROOMID,task_id ",
        '"App Id","Room Id","Task Id"',
        "*AppId,RoomId:,TaskId*",
    ],
)
async def test_a_header_is_known_without_case_underscores_hyphens_and_spaces(written: Written, header: str) -> None:
    assert (await read(written(header + "\na,r,t\n"))).rows == [RawRow("a", "r", "t", 2)]


async def test_columns_may_stand_in_any_order_among_others(written: Written) -> None:
    found = await read(written("note,TaskId,x,AppId,RoomId\nhello,t,,a,r\n"))
    assert found.ids == [("a", "r", "t")]


async def test_without_a_header_three_columns_are_taken_in_the_apis_order(written: Written) -> None:
    assert (await read(written("a,r,t\nb,r,t\n"))).rows == [RawRow("a", "r", "t", 1), RawRow("b", "r", "t", 2)]


async def test_tsv_is_read_like_csv(written: Written) -> None:
    found = await read(written('TaskId\tAppId\tRoomId\tNote\nt\t a \t"r"\tx, y\n', "tasks.tsv"))
    assert found.ids == [("a", "r", "t")]


@pytest.mark.parametrize(
    ("first", "words"),
    [
        ("AppId,RoomId,Task", "the header has no TaskId; it has 'AppId', 'RoomId', 'Task'"),
        ("x,TaskId", "the header has no AppId and no RoomId; it has 'x', 'TaskId'"),
        ("a-r-t", f"{NO_HEADER}, not 1: 'a-r-t'"),
        ("a,r", None),
        ("a,r,t,x", None),
        ('a,"r,t', "the first row, which may be the header, cannot be read: a quote that is not closed"),
    ],
)
async def test_a_first_row_that_settles_nothing_is_a_list_error(
    written: Written, first: str, words: str | None
) -> None:
    found = await read(path := written(first + "\na,r,t\n"))
    assert not found.rows
    assert found.error is not None
    assert words is None or found.error.startswith(f"{path}: {words}")


async def test_a_first_line_that_is_too_long_may_have_been_the_header(written: Written) -> None:
    found = await read(path := written("x" * 70_000 + "\na,r,t\n"))
    assert found == Read(error=f"{path}: line 1, which may be the header, cannot be read: longer than 65536 bytes")


@pytest.mark.parametrize("other", ["app_id", "APPID", "App ID", "应用ID", "AppId"])
async def test_a_header_that_names_an_id_twice_is_refused(written: Written, other: str) -> None:
    found = await read(path := written(f"AppId,{other},RoomId,TaskId\na,b,r,t\n"))
    assert not found.rows
    assert str(found.error).startswith(f"{path}: 2 columns are named AppId: 'AppId', '{other}'. Name the one to use")


async def test_of_two_columns_for_one_id_the_one_that_the_user_spells_so_counts(written: Written) -> None:
    path = written("app_id,AppId,RoomId,TaskId\nx,a,r,t\n")
    assert (await read(path, columns=Columns.parse("app=AppId"))).ids == [("a", "r", "t")]
    assert (await read(path, columns=Columns.parse("app=app_id"))).ids == [("x", "r", "t")]
    assert (await read(path, columns=Columns.parse("app=1,room=3,task=4"))).ids == [("x", "r", "t")]
    assert "2 columns are named AppID" in str((await read(path, columns=Columns.parse("app=AppID"))).error)


async def test_an_object_that_names_an_id_twice_is_sent_only_where_both_values_are_equal(written: Written) -> None:
    line = '{"AppId":"a","RoomId":"r","TaskId":"t%d","%s":%s}\n'
    others = [("task_id", '"t1"'), ("task_id", '"u"'), ("TASKID", "null"), ("任务ID", '"u"'), ("TaskID", '"t5"')]
    path = written("".join(line % (number, *other) for number, other in enumerate(others, start=1)), "x.jsonl")
    found = await read(path)
    assert found.ids == [("a", "r", "t1"), ("a", "r", "t5")]
    assert [row.line for row in found.broken] == [2, 3, 4]
    assert found.broken[0].reason == "TaskId stands under several keys with different values: 'TaskId', 'task_id'"
    assert len((await read(path, columns=Columns.parse("task=TaskId"))).rows) == len(others)


async def test_a_header_in_the_words_of_the_vendor_s_chinese_pages_is_one(written: Written) -> None:
    assert (await read(written("任务ID,应用ID,房间 ID\nt,a,r\n"))).ids == [("a", "r", "t")]


async def test_a_header_in_wide_letters_is_one(written: Written) -> None:
    header = HEADER.strip().translate({code: code + 0xFEE0 for code in range(ord("A"), ord("z") + 1)})
    assert (await read(written(f"{header}\na,r,t\n"))).ids == [("a", "r", "t")]


@pytest.mark.parametrize(
    "rows",
    [
        "app_id_1,room_id_1,task_id_1\na1,r1,t1\n",
        "AppId1,RoomId1,TaskId1\n1,2,3\n",
        "task_id1,room_id1,app_id1\ntask_id2,room_id2,app_id2\n",
    ],
)
async def test_numbered_names_of_the_three_columns_are_no_task(written: Written, rows: str) -> None:
    found = await read(written(rows))
    assert (found.rows, found.broken) == ([], [])
    assert "--columns" in str(found.error)


@pytest.mark.parametrize(
    "rows", ["app_id1,room_id1,task_id1\n", "app_id1,room_id1,task_id1\napp_id2,room_id2,task_id9\n"]
)
async def test_numbered_names_that_go_on_in_the_next_row_are_ids(written: Written, rows: str) -> None:
    assert [",".join(map(str, ids)) for ids in (await read(written(rows))).ids] == rows.split()


async def test_columns_may_have_other_names(written: Written) -> None:
    columns = Columns.parse("app=Application, room = Raum,task=the task")
    assert columns == Columns("Application", "Raum", "the task")
    found = await read(written("RAUM,TheTask,AppId,application\nr,t,x,a\n"), columns=columns)
    assert found.ids == [("a", "r", "t")]


async def test_a_list_for_which_names_are_given_has_to_have_them(written: Written) -> None:
    found = await read(path := written("a,r,t\n"), columns=Columns.parse("app=Application"))
    words = "the header has no Application and no RoomId and no TaskId; it has 'a', 'r', 't'"
    assert str(found.error).startswith(f"{path}: {words}. Name the columns to use: --columns app=NAME,room=NAME,")


@pytest.mark.parametrize(
    "text", ["", "app", "app=", "app=_", "app=a,app=b", "apps=a", "app=x,room=X", "app=RoomId", "app=a;room=b=c,"]
)
def test_columns_that_make_no_sense_are_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigurationError):
        Columns.parse(text)


async def test_a_row_with_too_few_fields_misses_values(written: Written) -> None:
    found = await read(written(HEADER + "a,r\na\n,r,\n"))
    assert found.ids == [("a", "r", None), ("a", None, None), ("", "r", "")]


async def test_a_row_with_too_many_fields_is_broken_unless_they_are_empty(written: Written) -> None:
    found = await read(written("note,AppId,RoomId,TaskId\nhello, world,a,r,t\nx,a,r,t,, \n"))
    assert found.broken == [BrokenRow("5 fields in 4 columns", 2)]
    assert found.rows == [RawRow("a", "r", "t", 3)]


async def test_fields_are_stripped_of_spaces_and_quotes(written: Written) -> None:
    found = await read(written(HEADER + ' a ,\tr, t\n"a" , "r" ,"t"\n" a ",r,"t"\n'))
    assert found.ids == [("a", "r", "t")] * 3


async def test_quoted_fields_may_hold_delimiters_and_quotes(written: Written) -> None:
    found = await read(written('AppId,RoomId,TaskId,Note\n"a",r,t,"x, ""y"", z"\nb,"r,1",t,\n'))
    assert found.ids == [("a", "r", "t"), ("b", "r,1", "t")]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
async def test_a_quoted_field_may_span_lines(written: Written, ending: str) -> None:
    lines = ["AppId,RoomId,TaskId,Note", 'a,r,t,"one', "", 'two ""2"", 3"', "b,r,t,x"]
    found = await read(written(ending.join(lines)))
    assert found == Read([RawRow("a", "r", "t", 2), RawRow("b", "r", "t", 5)])


async def test_a_quoted_field_may_span_lines_before_the_ids(written: Written) -> None:
    found = await read(written('Note,AppId,RoomId,TaskId\n"one\ntwo",a,r,t\nx,b,r,t\n'))
    assert found == Read([RawRow("a", "r", "t", 2), RawRow("b", "r", "t", 4)])


async def test_a_header_may_span_lines(written: Written) -> None:
    found = await read(written('AppId,RoomId,TaskId,"Note\n(free)"\na,r,t,x\n'))
    assert found == Read([RawRow("a", "r", "t", 3)])


@pytest.mark.parametrize(
    "lines",
    [
        ['a,r,t1,"stray', "a,r,t2,x", "a,r,t3,x"],
        ['a,r,t1,"stray', "a,r,t2,x", 'a,r,t3,"quoted"'],
        ['a,"r,t1,x', *(f"a,r,t{number},x" for number in range(40))],
        ['a,r,t1,"' + "x" * 60_000, "a,r,t2,x", "y" * 60_000 + '"'],
    ],
)
async def test_a_stray_quote_swallows_no_task(written: Written, lines: list[str]) -> None:
    path = written("AppId,RoomId,TaskId,Note\n" + "\n".join(lines))
    found = await read(path)
    assert BrokenRow("a quote that is not closed", 2) in found.broken
    tasks = [tuple(line.split(",")[:3]) for line in lines[1:] if line.startswith("a,r,")]
    assert tasks == [ids for ids in found.ids if ids in tasks]
    assert len(found.rows) + len(found.broken) == len(lines)


@pytest.mark.parametrize(
    "lines",
    [
        ['a,r,t1,"one', 'a,r,t-KEEP,important"'],
        ['a,r,t1,"one', "a,r,t-KEEP", 'two"'],
        ['a,r,t1,"one', "a,r,t-KEEP,x,,", 'two"'],
        ['a,r,t1,"one', " a , r,t-KEEP ,x", 'two" '],
        ['a,r,t1,"stray', "a,r,t2,x", 'a,r,t3,5"'],
        ['a,r,t1,"stray', 'a,r,t2,""', 'a,r,t3,5"'],
        ['a,"r,t1,x', "a,r,t2,x", 'a,r",t3,x'],
        ['a,r,t1,"pasted:', *(f"a,r,t{number},x" for number in range(50)), 'end"'],
        ['a,r,t1,x,y,"wrong width', "a,r,t-KEEP,x", 'two"'],
        ['a,r,t1,"5 inches', 'a,r,t-KEEP,"'],
        ['a,r,t1,"as Spark escapes \\"', 'a,r,t-KEEP,important"'],
        ['a,r,t1,"as Spark escapes \\"', "a,r,t-KEEP,x", 'said \\"yes\\""'],
    ],
)
async def test_a_quoted_field_that_covers_a_task_is_not_sent_in_any_way(written: Written, lines: list[str]) -> None:
    found = await read(written("AppId,RoomId,TaskId,Note\n" + "\n".join([*lines, "b,r,t,x"])))
    assert {row.reason for row in found.broken} == {AMBIGUOUS}
    assert [row.line for row in found.broken] == list(range(2, len(lines) + 2))
    assert found.ids == [("b", "r", "t")]


@pytest.mark.parametrize("notes", [['"C:\\"', '"D:\\"'], ['"C:\\"', "x"], ['"said \\"yes\\", then"', '"C:\\"']])
async def test_a_backslash_before_a_quote_changes_nothing_where_only_one_reading_closes(
    written: Written, notes: list[str]
) -> None:
    rows = [f"a,r,t{number},{note}" for number, note in enumerate(notes)]
    found = await read(written("\n".join(["AppId,RoomId,TaskId,Note", *rows])))
    assert (found.broken, found.ids) == ([], [("a", "r", f"t{number}") for number in range(len(notes))])


async def test_a_header_that_covers_a_task_is_refused(written: Written) -> None:
    found = await read(written('AppId,RoomId,TaskId,"Note\na,r,t,x"\nb,r,t,x\n'))
    assert not found.rows
    assert "next line reads as a task" in str(found.error)


@pytest.mark.parametrize(
    ("columns", "lines", "ids"),
    [
        ("AppId,RoomId,TaskId", ['a,"r', 'x",t'], ("a", "r\nx", "t")),
        ("AppId,RoomId,TaskId,Note,More", ['a,r,t,"one', 'two"'], ("a", "r", "t")),
    ],
)
async def test_a_record_over_two_lines_is_one_row_even_where_it_names_no_task(
    written: Written, columns: str, lines: list[str], ids: tuple[object, ...]
) -> None:
    found = await read(written("\n".join([columns, *lines])))
    assert (found.broken, found.ids) == ([], [ids])


async def test_a_line_that_is_too_long_settles_the_quote_before_it(written: Written) -> None:
    lines = ["AppId,RoomId,TaskId,Note", 'a,r,t1,"open', "x" * 70_000, 'two"', "b,r,t,x"]
    found = await read(written("\n".join(lines)))
    assert [(row.line, row.reason) for row in found.broken] == [
        (2, "a quote that is not closed"),
        (3, "longer than 65536 bytes"),
    ]
    assert found.rows == [RawRow('two"', None, None, 4), RawRow("b", "r", "t", 5)]


async def test_a_quoted_field_that_is_too_long_in_lines_is_broken(written: Written) -> None:
    for count, broken in ((256, False), (257, True)):
        note = "\n".join(f"line {number}" for number in range(count)) + '"'
        found = await read(written(f'AppId,RoomId,TaskId,Note\na,r,t,"{note}\nb,r,t,x\n'))
        assert bool(found.broken) == broken
        assert found.ids[-1] == ("b", "r", "t")


async def test_a_quote_is_settled_over_the_ends_of_batches_too(written: Written) -> None:
    for before in range(238, 262):
        rows = "".join(f"a,r,t{number},x\n" for number in range(before))
        found = await read(written("AppId,RoomId,TaskId,Note\n" + rows + 'a,r,t,"one\ntwo"\nb,r,t,x\n'))
        assert len(found.rows) == before + 2
        assert not found.broken


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'a,r,"t"x', "text after a closing quote inside the line"),
        (b'"a",r\rx,t', "a carriage return inside the line"),
        (b"a,r,t,x", "4 fields in 3 columns"),
    ],
)
async def test_a_broken_line_is_reported_and_the_next_is_read(written: Written, line: bytes, reason: str) -> None:
    found = await read(written(HEADER.encode() + line + b"\nb,r,t\n"))
    assert found == Read([RawRow("b", "r", "t", 3)], [BrokenRow(reason, 2)])


@pytest.mark.parametrize(
    "line", ["a,r\0,t", "a,r\rx,t", 'a,r"x,t', '"a",r\0,t', "a,r\udcff,t", "a,r,\udced\udca0\udc80"]
)
async def test_an_odd_character_or_byte_stays_in_its_field(written: Written, line: str) -> None:
    found = await read(written((HEADER + line + "\nb,r,t\n").encode("utf-8", "surrogateescape")))
    assert found.ids == [tuple(line.replace('"a"', "a").split(",")), ("b", "r", "t")]
