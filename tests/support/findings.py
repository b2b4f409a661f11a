"""The findings of the doctor, read from the JSON that it prints."""

from __future__ import annotations

import json
from typing import Any, Final

from stopcast.doctor import FindingState
from support.command import Finished

#: A secret that is easy to find wherever it is shown.
SECRET: Final = "Vm0wd2QyUXlVWGxWV0d4V1YwZDRXRmxVUm1GV01rNVg"


def findings(ended: Finished) -> dict[str, dict[str, Any]]:
    """Return the findings by part. Check that no output has the secret, and that every problem has advice."""
    assert SECRET not in ended.out + ended.err
    assert ended.without_traceback
    by_part = {finding["part"]: finding for finding in json.loads(ended.out)["findings"]}
    for part, finding in by_part.items():
        assert finding["advice"] or finding["state"] in {"ok", "not tried"}, part
    return by_part


def failed(ended: Finished) -> set[str]:
    """Return the parts that failed. Check that the exit status says whether there are any."""
    parts = {part for part, finding in findings(ended).items() if finding["state"] == FindingState.FAILED}
    assert ended.status == (3 if parts else 0)
    return parts
