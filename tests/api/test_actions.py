"""The requests of the two actions, and the states that GetWebCastTask returns."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from stopcast.api.actions import request_body
from stopcast.tasks.task import ID_PATTERN, Task


@given(st.tuples(*[st.from_regex(ID_PATTERN, fullmatch=True)] * 3))
def test_the_body_is_the_three_ids_as_compact_json(ids: tuple[str, str, str]) -> None:
    assert request_body(Task(*ids)) == orjson.dumps(dict(zip(("AppId", "RoomId", "TaskId"), ids, strict=True)))
