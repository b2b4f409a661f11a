from __future__ import annotations

import orjson
import pytest

from stopcast import Outcome, Status, Task, TaskState
from stopcast.report.line import line_of


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(
            Task("a", "r", "t"), Status.STOPPED, 2, http_status=200, request_id="id", finished_at=1e9, seconds=0.2314
        ),
        Outcome(
            Task("a", "r", "t"),
            Status.GAVE_UP,
            20,
            "InternalError",
            "failed",
            500,
            "id",
            "x.csv",
            7,
            1.7e9,
            in_doubt=True,
        ),
        Outcome(Task("", "", ""), Status.INVALID, message="AppId is missing", line=3, finished_at=1764259200.5),
        Outcome(
            Task("a", "r", "t"),
            Status.ENDED,
            1,
            finished_at=1764259200.25,
            state=TaskState(3, "StopByAPI", 1764259200000),
        ),
    ],
    ids=lambda outcome: outcome.status,
)
def test_an_outcome_as_json_is_its_line_of_a_report(outcome: Outcome) -> None:
    line = orjson.loads(line_of(outcome))
    assert outcome.as_json() == line
    assert list(outcome.as_json()) == list(line)
    assert orjson.loads(orjson.dumps(outcome.as_json())) == line
