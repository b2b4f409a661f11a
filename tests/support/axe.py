"""axe-core, the checker of accessibility, from the npm registry. Where npm cannot fetch it, the tests skip."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any, Final

import pytest

from support.browser import Tab

_PACKAGE: Final = "axe-core@4"
_RUN: Final = """axe.run(document, {resultTypes: ["violations"]}).then((results) => results.violations.map(
  (found) => [found.id, found.help, found.nodes.slice(0, 3).map((node) => node.html)]))"""


def fetch_axe(directory: Path) -> str:
    """Return the source of axe-core."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm here, and so no axe-core: the page was not checked for accessibility")
    done = subprocess.run(
        [npm, "pack", _PACKAGE, "--silent"], cwd=directory, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        pytest.skip(f"npm cannot fetch axe-core here, and so the page was not checked: {done.stderr.strip()[:200]}")
    with tarfile.open(directory / done.stdout.split()[-1]) as package:
        member = package.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


async def violations(tab: Tab, axe: str) -> list[Any]:
    """Return the rules that the page breaks, each with a few of the elements that do."""
    await tab.evaluate(axe)
    result = await tab.command("Runtime.evaluate", expression=_RUN, awaitPromise=True, returnByValue=True)
    assert "exceptionDetails" not in result, json.dumps(result)
    value: list[Any] = result["result"]["value"]
    return value
