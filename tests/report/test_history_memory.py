from __future__ import annotations

import pytest

from stopcast.report.history import ReportHistory
from stopcast.tasks.intake import Intake
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import Batch, RawRow, Task
from support.memory import peak_memory


def bytes_a_row(rows: int, kind: str) -> float:
    """Return the memory that a resumed run takes for a row of its list, in the report's reader and the intake."""
    status = {"settled": Status.STOPPED, "replaced": Status.GAVE_UP, "duplicate": Status.DUPLICATE}[kind]
    times = 2 if kind == "duplicate" else 1

    def line(number: int, status: Status) -> dict[str, object]:
        return {"AppId": "app", "RoomId": "room", "TaskId": str(number), "status": status, "in_doubt": True}

    with peak_memory() as peak:
        history = ReportHistory()
        for number in range(rows):
            history.read(line(number, status))
            if kind == "duplicate":
                history.read(line(number, Status.STOPPED))
        intake = Intake(settled=history.settled)
        for start in range(0, rows, 250):
            listed = [RawRow("app", "room", str(number), number) for number in range(start, start + 250)]
            intake.take(Batch("list", listed * times), 0.0)
            for number in range(start, start + 250):
                history.add(Outcome(Task("app", "room", str(number)), Status.STOPPED), comes_again=False)
    assert history.lines_replaced == (rows if kind == "replaced" else 0)
    assert intake.reported_earlier == (rows if kind == "duplicate" else 0)
    return peak.bytes / rows / times


@pytest.mark.parametrize("kind", ["settled", "replaced", "duplicate"])
def test_a_resumed_run_takes_at_most_50_bytes_a_row(kind: str) -> None:
    bytes_a_row(250, kind)  # what the first use of the code allocates is not a row's
    # The number at which a row takes most: the shelves of identities have just grown, and nearly all are divided.
    assert bytes_a_row(28_000, kind) < 50
