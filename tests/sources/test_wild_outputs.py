from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.samples import BOTH, FIRST, NAMES, OBJECTS, Sample, delimited

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
]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.origin)
@pytest.mark.parametrize("name", NAMES)
async def test_an_output_of_a_service_or_a_program_is_read_or_refused_with_what_to_type(
    tmp_path: Path, sample: Sample, name: str
) -> None:
    await sample.check(tmp_path / name)
