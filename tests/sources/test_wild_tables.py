from __future__ import annotations

import json
from pathlib import Path

from support.samples import BOTH, FIRST, HEADER, OBJECTS, SECOND, Sample, delimited, each_of

NOTES = delimited("\t", "AppId,RoomId,TaskId,Note", 'a1,r1,t1,"begins with a quote', 'a2,r2,t2,5" disk')

SAMPLES = [
    # Spreadsheets
    Sample("Excel, CSV UTF-8", "\ufeff" + delimited(",").replace("\n", "\r\n"), BOTH),
    Sample(
        "Excel in Germany", delimited(";", "AppId,RoomId,TaskId,Größe", "a1,r1,t1,groß", SECOND).encode("cp1252"), BOTH
    ),
    Sample("Excel in China", delimited(",", "AppId,RoomId,TaskId,备注", "a1,r1,t1,停止", SECOND).encode("gbk"), BOTH),
    Sample(
        "Excel in Japan", delimited(",", "AppId,RoomId,TaskId,備考", "a1,r1,t1,停止ソ", SECOND).encode("cp932"), BOTH
    ),
    Sample("Excel, Unicode text", delimited("\t").replace("\n", "\r\n").encode("utf-16"), BOTH),
    Sample("Excel, sep= line", "sep=;\r\n" + delimited(";").replace("\n", "\r\n"), BOTH),
    Sample("a quoted sep= line", '"sep=|"\n' + delimited("|"), BOTH),
    Sample("Excel for Mac, CSV (Macintosh)", delimited(",").replace("\n", "\r"), BOTH),
    Sample("rows that were emptied in Excel", delimited(",") + ",,\r\n,,\r\n", BOTH),
    Sample("a title above the header", "Running tasks\n\n" + delimited(","), BOTH),
    Sample("a report with its date above the header", "Report;2026-11-22\n;;\n" + delimited(";"), BOTH),
    Sample("comments above the header", "# exported 2026-11-22, by ops, in Shanghai\n" + delimited(","), BOTH),
    Sample("pandas without index=False", ",AppId,RoomId,TaskId\n0,a1,r1,t1\n1,a2,r2,t2\n", BOTH),
    Sample(
        "R, a number before each row and no name for it",
        "AppId,RoomId,TaskId,Note\n1,a1,r1,t1,\n2,a2,r2,t2,x\na3,r3,t3,,\n",
        ["a3,r3,t3"],
        invalid=2,
    ),
    Sample("Excel in China, names of the vendor", "应用ID,房间ID,任务ID\na1,r1,t1\n".encode("gbk"), [FIRST]),
    Sample("Excel in China, other names", "应用,房间,任务\na1,r1,t1\n".encode("gbk"), refusal="--encoding gb18030"),
    Sample("pandas with missing values", HEADER + "a1,r1,t1\na2,r2,nan\na2,,t3\n", [FIRST], invalid=2),
    Sample("ids that Excel rounded", HEADER + "a1,r1,t1\na2,r2,1.2E+17\na2,r2,#REF!\na3,#N/A,t\n", [FIRST], invalid=3),
    Sample("ids that JavaScript lost", HEADER + "a1,r1,t1\na2,undefined,t2\nnull,r2,t2\n", [FIRST], invalid=2),
    Sample("a template that was not filled in", HEADER + "a1,r1,t1\n{{app}},{{room}},{{task}}\n", [FIRST], invalid=1),
    # Text mode twice on Windows
    Sample("Python's csv on Windows without newline=''", delimited(",").replace("\n", "\r\r\n"), BOTH),
    # Databases
    Sample("mysql -B", NOTES, BOTH),
    Sample("mysql -B with NULL", delimited("\t") + "NULL\tr\tt\n", BOTH, invalid=1),
    Sample("mysql -t", "+--+--+--+\n| AppId | RoomId | TaskId |\n+--+--+--+\n| a1 | r1 | t1 |\n+--+--+--+\n", [FIRST]),
    Sample(
        "psql",
        " app_id | room_id | task_id \n--------+---------+---------\n a1     | r1      | t1\n(1 row)\n\n",
        [FIRST],
    ),
    Sample("psql --csv", delimited(",", "app_id,room_id,task_id"), BOTH),
    Sample("psql \\copy, text", "a1\tr1\tt1\na2\tr2\tt2\na2\tr2\t\\N\n", BOTH, invalid=1),
    Sample("sqlite3 -separator '|'", "a1|r1|t1\na2|r2|t2\n", BOTH),
    Sample(
        "sqlcmd -s, -W", "AppId,RoomId,TaskId\n-----,------,------\na1,r1,t1\na2,r2,t2\n\n(2 rows affected)\n", BOTH
    ),
    Sample("bcp -w", delimited("\t").encode("utf-16-le"), BOTH),
    Sample(
        "ClickHouse TSVWithNamesAndTypes",
        delimited("\t").replace("TaskId\n", "TaskId\nString\tLowCardinality(String)\tNullable(String)\n"),
        BOTH,
    ),
    Sample(
        "ClickHouse JSONCompactEachRowWithNamesAndTypes",
        '["AppId","RoomId","TaskId"]\n["String","String","String"]\n["a1","r1","t1"]\n',
        [FIRST],
    ),
    Sample(
        "ClickHouse FORMAT JSON",
        json.dumps({"meta": [{"name": "AppId"}], "data": OBJECTS, "rows": 2}, indent=1),
        refusal="jq -c '.data[]'",
    ),
    Sample("ClickHouse CSVWithNames, extremes=1", delimited(",") + "\na1,r1,t1\na2,r2,t2\n", BOTH, invalid=2),
    Sample(
        "ClickHouse TSVWithNames, WITH TOTALS, extremes=1",
        delimited("\t", "AppId,RoomId,TaskId", "a1,r2,9", "a2,r1,10") + "\n\t\t0\n\na1\tr1\t9\na2\tr2\t10\n",
        ["a1,r2,9", "a2,r1,10"],
        invalid=3,
    ),
    Sample(
        "two rows that were appended below an empty line",
        HEADER + f"{FIRST}\n\na2,r2,t2\na3,r3,t3\n",
        [*BOTH, "a3,r3,t3"],
    ),
    Sample("two rows below an empty line below the header", HEADER + f"\n{FIRST}\n{SECOND}\n", BOTH),
    Sample("a header and a row below an empty line", HEADER + f"{FIRST}\n\n{HEADER}{SECOND}\n", BOTH, invalid=1),
    Sample("SQL Server, names in brackets", delimited(",", "[AppId],[RoomId],[TaskId]"), BOTH),
    Sample(
        "SQL Server, names in brackets, tabs", delimited("\t", "[TaskId],[n],[RoomId],[AppId]", "t1,1,r1,a1"), [FIRST]
    ),
    Sample("MySQL, names in backticks", delimited(",", "`AppId`,`RoomId`,`TaskId`"), BOTH),
    Sample("ids in brackets", HEADER + f"[a2],[r2],[t2]\n{FIRST}\n", [FIRST], invalid=1),
    Sample("ClickHouse CustomSeparated", delimited("\x01", FIRST, SECOND), refusal="--delimiter"),
    Sample(
        "Spark, quotes escaped by a backslash",
        delimited(",", "AppId,RoomId,TaskId,Note", 'a1,r1,t1,"say \\"hi\\""', SECOND),
        BOTH,
    ),
    Sample(
        "HeidiSQL",
        delimited(";", '"AppId","RoomId","TaskId"', '"a1","r1","t1"', '"a2","r2","t2"').replace("\n", "\r\n"),
        BOTH,
    ),
    Sample("DBeaver, quoted always", '"AppId","RoomId","TaskId"\n"a1","r1","t1"\n"a2","r2","t2"\n', BOTH),
    Sample("a note over two lines", HEADER.strip() + ',Note\na1,r1,t1,"first\nsecond"\na2,r2,t2,x\n', BOTH),
    Sample(
        "exports that were concatenated",
        delimited(",") + delimited(",", "TaskId,AppId,RoomId", "t3,a3,r3"),
        [*BOTH, "a3,r3,t3"],
        invalid=1,
    ),
    Sample("a header with the words of another system", "app,task,room\napp1,task1,room1\n", refusal="--columns"),
    Sample("a header with two words of another system", "tenant,task,room\nacme,t1,r1\n", refusal="--columns"),
    Sample("Hive, ids of letters below names with their table", "x.task,x.room,x.app\nt,r,a1\n", refusal="--columns"),
    Sample("pandas without names", "0,1,2\na1,r1,t1\n", refusal="--columns"),
    Sample("Spark without names", "_c0,_c1,_c2\na1,r1,t1\n", refusal="--columns"),
    Sample("BigQuery without names", "f0_,f1_,f2_\na1,r1,t1\n", refusal="--columns"),
    Sample("Power Query without names", "Column1\tColumn2\tColumn3\na1\tr1\tt1\n", refusal="--columns"),
    Sample("ids with numbers", "app1,room2,task3\n1,3,2\n", ["app1,room2,task3", "1,3,2"]),
    Sample("a header in Chinese", "应用,房间,任务\na1,r1,t1\n", refusal="--columns"),
    Sample("a Markdown table", "| AppId | RoomId | TaskId |\n|:---|:---|:---|\n| a1 | r1 | t1 |\n", [FIRST]),
    Sample("PostgreSQL's dump", "--\n-- PostgreSQL database dump\n--\n", refusal="psql --csv"),
    Sample("mysqldump", "-- MySQL dump 10.13\nINSERT INTO tasks VALUES ('a1','r1','t1');\n", refusal="mysql -B"),
    # Clients of databases that print for a terminal, and what they print below a table
    Sample(
        "Beeline, table",
        "+--+--+--+\n| app_id | room_id | task_id |\n+--+--+--+\n| a1 | r1 | t1 |\n+--+--+--+\n"
        "1 row selected (1.079 seconds)\n",
        [FIRST],
    ),
    Sample("Beeline, tsv2, below its log", "Connecting to jdbc:hive2://local:10000\n" + delimited("\t"), BOTH),
    Sample("Beeline, csv, in single quotes", delimited(",", "'AppId','RoomId','TaskId'", "'a1','r1','t1'"), invalid=1),
    Sample("Hive, columns named with their table", delimited("\t", "t.appid,t.roomid,t.taskid"), refusal="--columns"),
    Sample(
        "SQL*Plus, colsep",
        "APPID |ROOMID|TASKID\n------|------|------\na1    |r1    |t1\na2    |r2    |t2\n\n2 rows selected.\n",
        BOTH,
    ),
    Sample(
        "SnowSQL, csv", delimited(",", "APP_ID,ROOM_ID,TASK_ID") + "2 Row(s) produced. Time Elapsed: 0.512s\n", BOTH
    ),
    Sample("psql -A, \\timing", "Timing is on.\n" + delimited("|") + "(2 rows)\nTime: 0.512 ms\n", BOTH),
    Sample("psql -x", "-[ RECORD 1 ]\napp_id  | a1\nroom_id | r1\ntask_id | t1\n", refusal="psql --csv"),
    Sample("mysql \\G", 27 * "*" + " 1. row " + 27 * "*" + "\nAppId: a1\nRoomId: r1\n", refusal="mysql -B"),
    Sample("sqlite3 .mode box", "╭───────┬────────╮\n│ AppId │ RoomId │\n", refusal="sqlite3 -header -csv"),
    Sample(
        "ClickHouse PrettyCompact",
        "   ┌─AppId─┬─RoomId─┬─TaskId─┐\n1. │ a1    │ r1     │ t1     │\n",
        refusal="clickhouse-client --format CSVWithNames",
    ),
    Sample("ClickHouse Vertical", "Row 1:\n──────\nAppId:  a1\n", refusal="clickhouse-client --format CSVWithNames"),
    Sample("CockroachDB, the number of rows above", "2 rows\n" + delimited("\t"), BOTH),
    Sample("cqlsh", " app_id | room_id | task_id\n--------+---------+---------\n a1 | r1 | t1\n\n(1 rows)\n", [FIRST]),
    Sample("Redshift UNLOAD", delimited("|", *BOTH), BOTH),
    Sample("Redshift UNLOAD FIXEDWIDTH", "a1   r1   t1   \na2   r2   t2   \n", refusal="tr -s"),
]


@each_of(SAMPLES)
async def test_a_table_is_read_or_refused_with_what_to_type(tmp_path: Path, sample: Sample) -> None:
    await sample.check(tmp_path)
