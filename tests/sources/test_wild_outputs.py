from __future__ import annotations

import json
from pathlib import Path

from support.samples import BOTH, FIRST, HEADER, OBJECTS, SECOND, Sample, delimited, each_of

SAMPLES = [
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
    Sample(
        "DynamoDB, items",
        json.dumps({k: {"S": v} for k, v in OBJECTS[0].items()}) + "\n",
        refusal="jq -c 'map_values(.S)'",
    ),
    # Programs
    Sample("a log of JSON", f"2026-11-22 10:00:00 INFO {json.dumps(OBJECTS[0])}\n", refusal="grep -o '{.*}'"),
    Sample("kubectl logs --timestamps", f"2026-11-22T10:00:00Z stdout F {json.dumps(OBJECTS[0])}\n", refusal="grep -o"),
    Sample("docker compose logs", f"web_1  | {json.dumps(OBJECTS[0])}\n", refusal="grep -o"),
    Sample("a log with its level in brackets", f"[info] {json.dumps(OBJECTS[0])}\n", refusal="grep -o"),
    Sample("a log with its time in brackets", f"[2026-11-22 10:00:00] {json.dumps(OBJECTS[0])}\n", refusal="grep -o"),
    Sample("COPY CON of DOS", HEADER.replace("\n", "\r\n") + "a1,r1,t1\r\na2,r2,t2\r\n\x1a", BOTH),
    Sample("an editor of DOS, in the last line", HEADER + "a1,r1,t1\na2,r2,t2\x1a\x1a", BOTH),
    Sample("an editor of DOS, JSON", "\n".join(map(json.dumps, OBJECTS)) + "\n\x1a", BOTH),
    Sample("zeros that a power cut left", f"{HEADER}a1,r1,t1\na2,r2,t" + 50 * "\0", [FIRST], invalid=1),
    Sample("PowerShell Export-Csv", "#TYPE Selected.System.Data.DataRow\r\n" + delimited(","), BOTH),
    Sample("R write.csv", '"","AppId","RoomId","TaskId"\n"1","a1","r1","t1"\n"2","a2","r2",NA\n', [FIRST], invalid=1),
    Sample("R write.table(sep=',')", delimited(",", "AppId,RoomId,TaskId", "1,a1,r1,t1", "2,a2,r2,t2"), invalid=2),
    Sample("jq @csv without -r", json.dumps('"a1","r1","t1"') + "\n", refusal="--delimiter"),
    Sample("git merge", f"{HEADER}<<<<<<< HEAD\n{FIRST}\n=======\n{SECOND}\n>>>>>>> theirs\n", refusal="conflict"),
    Sample(
        "hg merge, below the header",
        f"{HEADER}{FIRST}\n<<<<<<< local\n=======\n{SECOND}\n>>>>>>> other\n",
        refusal="conflict",
    ),
    Sample(
        "svn update", f"<<<<<<< .mine\n{HEADER}=======\nTaskId,RoomId,AppId\n>>>>>>> .r2\n{FIRST}\n", refusal="conflict"
    ),
    Sample("git merge, one mark left", f"{HEADER}{FIRST}\n{SECOND}\n>>>>>>> theirs\n", refusal="conflict"),
    Sample(
        "git merge, JSON", f"[\n<<<<<<< HEAD\n{json.dumps(OBJECTS[0])}\n=======\n>>>>>>> x\n]\n", refusal="conflict"
    ),
    Sample("git merge, CRLF", f"{HEADER}<<<<<<< HEAD\n{FIRST}\n=======\n".replace("\n", "\r\n"), refusal="conflict"),
    Sample("a note with the marks of a merge inside", f"AppId,RoomId,TaskId,Note\n{FIRST},see <<<<<<< HEAD\n", [FIRST]),
    Sample("mongo", '{ "_id" : ObjectId("5f"), "AppId" : "a1", "RoomId" : "r1", "TaskId" : "t1" }\n', invalid=1),
    Sample(
        "a single file web page of Excel", "MIME-Version: 1.0\nX-Document-Type: Workbook\n", refusal="save the sheet"
    ),
]


@each_of(SAMPLES)
async def test_an_output_of_a_service_or_a_program_is_read_or_refused_with_what_to_type(
    tmp_path: Path, sample: Sample
) -> None:
    await sample.check(tmp_path)
