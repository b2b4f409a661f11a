from __future__ import annotations

import json
from pathlib import Path

from support.samples import BOTH, FIRST, OBJECTS, Sample, each_of

SAMPLES = [
    Sample(
        "tasks by their TaskId",
        json.dumps({"t1": {"AppId": "a1", "RoomId": "r1"}, "t2": {"AppId": "a2", "RoomId": "r2"}}),
        refusal="""it does not hold one object for each task: jq -c 'to_entries[] | .value + {"TaskId": .key}' LIST""",
    ),
    # JSON
    Sample("json.dumps", json.dumps(OBJECTS), BOTH),
    Sample("json.dumps(indent=2)", json.dumps(OBJECTS, indent=2), BOTH),
    Sample(
        "JSON.stringify in UTF-16 (PowerShell >)", ("\ufeff" + json.dumps(OBJECTS, indent=2)).encode("utf-16-le"), BOTH
    ),
    Sample("an array with null before its objects", json.dumps([None, *OBJECTS]), BOTH, invalid=1),
    Sample("an array with null, on many lines", json.dumps([None, *OBJECTS], indent=1), BOTH, invalid=1),
    Sample(
        "arrays with words of another system", '["tenant","task","room"]\n["acme","t1","r1"]\n', refusal="--columns"
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
    Sample(
        "arrays by column",
        json.dumps({key: [value[key] for value in OBJECTS] for key in OBJECTS[0]}),
        refusal="transpose[]",
    ),
    Sample(
        "pandas to_json()",
        json.dumps({key: {str(at): value[key] for at, value in enumerate(OBJECTS)} for key in OBJECTS[0]}),
        refusal="jq -c '[.AppId, .RoomId, .TaskId] | map(map(.)) | transpose[]'",
    ),
    Sample(
        "pandas to_json(orient='split')",
        json.dumps({"columns": list(OBJECTS[0]), "index": [0], "data": [BOTH[0].split(",")]}),
        refusal="jq -c '.columns, .data[]'",
    ),
    Sample(
        "ClickHouse JSONCompact",
        json.dumps({"meta": [{"name": key} for key in OBJECTS[0]], "data": [BOTH[0].split(",")], "rows": 1}),
        refusal="jq -c '[.meta[].name], .data[]'",
    ),
    Sample(
        "ClickHouse JSONColumnsWithMetadata",
        json.dumps({"meta": [{"name": key} for key in OBJECTS[0]], "data": {key: ["1"] for key in OBJECTS[0]}}),
        refusal="jq -c '.data | [.AppId, .RoomId, .TaskId] | transpose[]'",
    ),
    Sample(
        "ClickHouse JSONObjectEachRow", json.dumps({"row_1": OBJECTS[0], "row_2": OBJECTS[1]}), refusal="jq -c '.[]'"
    ),
    Sample("tasks before and after", json.dumps({"old": OBJECTS[0], "new": OBJECTS[1]}), refusal="'old', 'new'"),
    Sample(
        "InfluxDB, an answer",
        json.dumps(
            {"results": [{"series": [{"columns": ["time", *OBJECTS[0]], "values": [[1, *BOTH[0].split(",")]]}]}]}
        ),
        refusal="jq -c '.results[].series[] | .columns, .values[]'",
    ),
    Sample("pandas to_json(orient='values'), numbered", '["0","1","2"]\n["a1","r1","t1"]\n', refusal="--columns"),
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
]


@each_of(SAMPLES)
async def test_json_is_read_or_refused_with_what_to_type(tmp_path: Path, sample: Sample) -> None:
    await sample.check(tmp_path)
