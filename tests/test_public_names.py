"""The package's public names, as users, type checkers and help() see them."""

from __future__ import annotations

import importlib.metadata
import inspect
import pydoc
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import stopcast


def test_every_public_name_can_be_imported() -> None:
    names = stopcast.__all__  # type: ignore[attr-defined]  # a stub's re-exports need no __all__
    assert {"Stopper", "Task", "ListError", "BackgroundTaskError", "Transport"} <= set(names)
    assert {"Batch", "Gate", "Answer", "OutcomeStream", "StopperState", "QueueDataLostError"} <= set(names)
    for name in names:
        assert getattr(stopcast, name) is not None


def test_a_star_import_brings_the_public_names_and_no_others() -> None:
    namespace: dict[str, object] = {}
    exec("from stopcast import *", namespace)
    assert sorted(namespace.keys() - {"__builtins__"}) == stopcast.__all__  # type: ignore[attr-defined]


def test_dir_lists_the_public_names_before_any_of_them_is_used() -> None:
    listed = subprocess.run(
        [sys.executable, "-c", "import stopcast; print(*dir(stopcast))"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"Stopper", "Task", "Outcome", "__version__", "__all__"} <= set(listed)


def test_help_shows_the_classes_with_their_docstrings() -> None:
    text = pydoc.plain(pydoc.render_doc(stopcast))
    assert "class Stopper(" in text
    assert "class RetryPolicy(" in text
    assert "CredentialsProvider" in text


def test_the_docstring_of_a_stopper_describes_each_of_its_arguments() -> None:
    described = inspect.getdoc(stopcast.Stopper) or ""
    for name in inspect.signature(stopcast.Stopper).parameters:
        assert f"    {name}: " in described, name


def test_the_version_is_that_of_the_installed_distribution() -> None:
    assert stopcast.__version__ == importlib.metadata.version("stopcast")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'stopcast' has no attribute 'Stoper'"):
        stopcast.Stoper  # type: ignore[attr-defined]  # noqa: B018


def test_using_one_name_does_not_load_an_http_client() -> None:
    code = "import sys, stopcast; stopcast.Task; stopcast.RetryPolicy; print('aiohttp' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "False\n"


def test_the_names_are_found_in_a_zip_file_too(tmp_path: Path) -> None:
    package = Path(stopcast.__file__).parent
    with zipfile.ZipFile(tmp_path / "stopcast.zip", "w") as archive:
        for path in package.rglob("*.py*"):
            if path.suffix in {".py", ".pyi"}:
                archive.write(path, path.relative_to(package.parent))
    code = "import stopcast; print(stopcast.__file__, stopcast.Task.__name__)"
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(tmp_path / "stopcast.zip")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.endswith("stopcast.zip/stopcast/__init__.py Task\n")
