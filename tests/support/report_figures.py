"""The figures of outcomes, as those of a report that holds their lines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from stopcast.report.line import line_of
from stopcast.summary import ReportFigures
from stopcast.tasks.outcome import Outcome

NOT_FOUND = "InvalidParameter.ErrorActiveTaskNotFound"


def figures_of(outcomes: Iterable[Outcome], **options: Any) -> ReportFigures:
    figures = ReportFigures(**options)
    figures.add({**json.loads(line_of(outcome)), "status": outcome.status} for outcome in outcomes)
    return figures
