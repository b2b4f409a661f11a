"""Jobs are made of rows without Python code for each one."""

from __future__ import annotations

from stopcast.engine.job import Job
from stopcast.tasks.intake import Accepted


def test_a_job_begins_with_the_fields_of_its_row() -> None:
    assert Job._fields[: len(Accepted._fields)] == Accepted._fields
    assert Job._fields[len(Accepted._fields)] == "origin"
