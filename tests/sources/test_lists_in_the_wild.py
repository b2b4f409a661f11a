"""Lists as exporters write them: each is read as it is meant, or refused with what to type."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import pytest

from stopcast.errors import ListError
from stopcast.sources import Form, open_list
from stopcast.tasks.intake import Intake

HEADER = "AppId,RoomId,TaskId\n"
FIRST, SECOND = "a1,r1,t1", "a2,r2,t2"
BOTH = [FIRST, SECOND]
OBJECTS = [dict(zip(("AppId", "RoomId", "TaskId"), ids.split(","), strict=True)) for ids in BOTH]


@dataclass(frozen=True)
class Sample:
    """A list: what it comes from, its bytes, and the tasks that are sent or the words of the refusal."""

    origin: str
    content: str | bytes
    tasks: list[str] | None = None
    refusal: str = ""
    invalid: int = 0
    encoding: str | None = None


def zipped(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


def tarred(content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("tasks.csv")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def delimited(delimiter: str, header: str = "AppId,RoomId,TaskId", *rows: str) -> str:
    return "".join(line.replace(",", delimiter) + "\n" for line in (header, *(rows or BOTH)))


NOTES = delimited("\t", "AppId,RoomId,TaskId,Note", 'a1,r1,t1,"begins with a quote', 'a2,r2,t2,5" disk')
PLAIN = delimited(",").encode()

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
    Sample("Redshift UNLOAD FIXEDWIDTH", "a1   r1   t1   \na2   r2   t2   \n", refusal="--columns"),
    # Log services and dashboards
    Sample("Grafana, for Excel", "\ufeffsep=,\r\n" + delimited(",").replace("\n", "\r\n"), BOTH),
    Sample(
        "Kibana without a time",
        '"@timestamp",AppId,RoomId,TaskId\n"Nov 22, 2026 @ 10:00:00.000",a1,r1,t1\n"-",a2,r2,t2\n',
        BOTH,
    ),
    Sample(
        "InfluxDB, annotated, tables with other columns",
        "#group,false,false,true,true,true\n#datatype,string,long,string,string,string\n#default,_result,,,,\n"
        ",result,table,AppId,RoomId,TaskId\n,,0,a1,r1,t1\n\n"
        "#group,false,false,true,true,true\n#datatype,string,long,string,string,string\n#default,_result,,,,\n"
        ",result,table,TaskId,AppId,RoomId\n,,1,t2,a2,r2\n",
        BOTH,
        invalid=4,
    ),
    Sample(
        "an answer of Elasticsearch",
        json.dumps({"took": 1, "hits": {"hits": [{"_source": value} for value in OBJECTS]}}),
        refusal="jq -c '.hits.hits[]._source'",
    ),
    Sample(
        "Splunk, json",
        "".join(json.dumps({"preview": False, "result": value}) + "\n" for value in OBJECTS),
        refusal="jq -c '.result'",
    ),
    Sample(
        "logcli -o jsonl",
        json.dumps({"labels": {"app": "x"}, "line": json.dumps(OBJECTS[0]), "timestamp": "2026"}) + "\n",
        refusal="jq -c '.line | fromjson'",
    ),
    Sample(
        "CloudWatch, a message in JSON",
        json.dumps({"@message": json.dumps({"tasks": OBJECTS})}),
        refusal="jq -c '.\"@message\" | fromjson.tasks[]'",
    ),
    Sample(
        "DynamoDB, export to S3",
        "".join(json.dumps({"Item": {k: {"S": v} for k, v in value.items()}}) + "\n" for value in OBJECTS),
        refusal="jq -c '.Item | map_values(.S)'",
    ),
    Sample("DynamoDB, items", json.dumps({k: {"S": v} for k, v in OBJECTS[0].items()}) + "\n", invalid=1),
    # Programs
    Sample("PowerShell Export-Csv", "#TYPE Selected.System.Data.DataRow\r\n" + delimited(","), BOTH),
    Sample("R write.csv", '"","AppId","RoomId","TaskId"\n"1","a1","r1","t1"\n"2","a2","r2",NA\n', [FIRST], invalid=1),
    Sample("R write.table(sep=',')", delimited(",", "AppId,RoomId,TaskId", "1,a1,r1,t1", "2,a2,r2,t2"), invalid=2),
    Sample("jq @csv without -r", json.dumps('"a1","r1","t1"') + "\n", refusal="--delimiter"),
    Sample("mongo", '{ "_id" : ObjectId("5f"), "AppId" : "a1", "RoomId" : "r1", "TaskId" : "t1" }\n', invalid=1),
    Sample(
        "a single file web page of Excel", "MIME-Version: 1.0\nX-Document-Type: Workbook\n", refusal="save the sheet"
    ),
    # JSON
    Sample("json.dumps", json.dumps(OBJECTS), BOTH),
    Sample("json.dumps(indent=2)", json.dumps(OBJECTS, indent=2), BOTH),
    Sample(
        "JSON.stringify in UTF-16 (PowerShell >)", ("\ufeff" + json.dumps(OBJECTS, indent=2)).encode("utf-16-le"), BOTH
    ),
    Sample("jq .", "\n".join(json.dumps(value, indent=2) for value in OBJECTS), BOTH),
    Sample("jq -c", "\n".join(map(json.dumps, OBJECTS)), BOTH),
    Sample("objects without anything between", "".join(map(json.dumps, OBJECTS)), BOTH),
    Sample("lines that end in a comma", "".join(json.dumps(value) + ",\n" for value in OBJECTS), BOTH),
    Sample("mongoexport", "".join(json.dumps({"_id": {"$oid": "5f"}, **value}) + "\n" for value in OBJECTS), BOTH),
    Sample("mongoexport --jsonArray", "[" + ",\n".join(map(json.dumps, OBJECTS)) + "]\n", BOTH),
    Sample(
        "elasticdump",
        "".join(json.dumps({"_index": "i", "_source": value}) + "\n" for value in OBJECTS),
        refusal="._source",
    ),
    Sample("jq --seq, RFC 7464", "".join("\x1e" + json.dumps(value) + "\n" for value in OBJECTS), BOTH),
    Sample("DuckDB COPY TO (ARRAY true)", "[\n\t" + ",\n\t".join(map(json.dumps, OBJECTS)) + "\n]\n", BOTH),
    Sample(
        "an answer of an API", json.dumps({"Result": {"Tasks": OBJECTS}, "Total": 2}), refusal="jq -c '.Result.Tasks[]'"
    ),
    Sample(
        "JSON in GBK", '{"AppId":"a1","RoomId":"r1","TaskId":"t1","note":"中"}\n'.encode("gbk"), [FIRST], encoding="gbk"
    ),
    Sample(
        "objects whose values are the names",
        json.dumps({k: k for k in OBJECTS[0]}) + "\n" + json.dumps(OBJECTS[0]),
        [FIRST],
        invalid=1,
    ),
    # Compressed
    Sample("gzip twice", gzip.compress(gzip.compress(PLAIN)), BOTH),
    Sample("pbzip2, two members", bz2.compress(PLAIN[:30]) + bz2.compress(PLAIN[30:]), BOTH),
    Sample("xz", lzma.compress(PLAIN), BOTH),
    Sample("a zip archive", zipped("tasks.csv", PLAIN), refusal="unzip -p"),
    Sample("LibreOffice", zipped("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"), refusal="soffice"),
    Sample("tar", tarred(PLAIN), refusal="tar -xOf"),
    Sample("tar.gz", gzip.compress(tarred(PLAIN)), refusal="tar -xOf"),
    # No lists
    Sample("Parquet", b"PAR1\x15\x04", refusal="duckdb"),
    Sample("SQLite", b"SQLite format 3\0" + bytes(100), refusal="sqlite3"),
    Sample("Excel 97", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), refusal="save the sheet as CSV"),
    Sample("a 7z archive", b"7z\xbc\xaf\x27\x1c\0\4", refusal="7z e -so"),
    Sample("a PDF", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", refusal="PDF"),
    Sample("a login page", "\n<!DOCTYPE html>\n<html><body>Sign in</body></html>\n", refusal="login page"),
    Sample("an .xls that is a web page", "<table><tr><td>AppId</td></tr></table>", refusal="web page"),
    Sample(
        "git diff",
        "--- a/l\n+++ b/l\n@@ -1 +1 @@\n" + " " + HEADER + " a1,r1,t1\n-a2,r2,t2\n",
        refusal="one of the two",
    ),
    Sample("Git LFS", "version https://git-lfs.github.com/spec/v1\noid sha256:00\n", refusal="git lfs pull"),
    Sample("YAML", "- AppId: a1\n  RoomId: r1\n  TaskId: t1\n", refusal="yq"),
]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.origin)
@pytest.mark.parametrize("name", ["list", "list.csv", "list.json"])
async def test_a_list_in_the_wild_is_read_or_refused_with_what_to_type(
    tmp_path: Path, sample: Sample, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(sample.content.encode() if isinstance(sample.content, str) else sample.content)
    intake, sent = Intake(), []
    error = ""
    try:
        async with aclosing(open_list(path, form=Form.AUTO, encoding=sample.encoding)) as batches:
            async for batch in batches:
                sent += [",".join(row.task) for row in intake.take(batch, 0.0).accepted]
    except ListError as caught:
        error = str(caught)
    assert (sent, intake.invalid) == (sample.tasks or [], sample.invalid), error
    assert sample.refusal in error
    assert bool(error) is bool(sample.refusal)
