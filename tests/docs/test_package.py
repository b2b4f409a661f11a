"""The wheel and the source distribution: they build, hold all that the command reads, and install."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
from trove_classifiers import classifiers

from support.documents import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
SOURCE = ROOT / "src/stopcast"


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command as a user who has none of this environment's variables would, and return what it prints."""
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(cwd), "LANG": "C.UTF-8", "PIP_NO_INDEX": "1"}
    done = subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", directory, cwd=ROOT)
    (path,) = directory.glob("stopcast-*")
    return path


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that pip builds from the source distribution, so both are tried."""
    directory = tmp_path_factory.mktemp("wheel")
    options = ("--no-build-isolation", "--no-deps", "--wheel-dir", directory)
    run(sys.executable, "-m", "pip", "wheel", *options, sdist, cwd=directory)
    (path,) = directory.glob("stopcast-*")
    return path


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    tracked = subprocess.run(["git", "ls-files", "."], cwd=SOURCE, capture_output=True, text=True, check=False)
    if tracked.returncode != 0:
        pytest.skip("this is no checkout, so the package's files cannot be told from others")
    expected = {f"stopcast/{name}" for name in tracked.stdout.splitlines() if not name.endswith(".po")}
    suffixes = {Path(name).suffix for name in expected}
    assert suffixes >= {".css", ".html", ".js", ".lua", ".md", ".mo", ".py", ".pyi", ".toml"}
    assert "stopcast/py.typed" in expected
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == expected


def test_the_source_distribution_holds_sources_and_nothing_else(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        tops = {name.split("/")[1] for name in archive.getnames()}
    assert tops == {
        "src",
        "tests",
        "examples",
        "benchmarks",
        ".ci",
        ".gitignore",
        "README.md",
        "pyproject.toml",
        "PKG-INFO",
    }


def test_the_metadata_says_what_an_index_shows(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    assert (metadata["Name"], metadata["Version"]) == ("stopcast", PROJECT["version"])
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert str(metadata.get_payload()) == (ROOT / "README.md").read_text("utf-8")
    assert set(metadata.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])
    listed = metadata.get_all("Classifier", [])
    assert len(listed) > 10
    assert set(listed) <= classifiers


def test_an_installed_wheel_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    python, command = home / "bin/python", home / "bin/stopcast"
    run(sys.executable, "-m", "pip", f"--python={python}", "install", "--no-deps", wheel, cwd=tmp_path)
    # The libraries are this environment's, because the tests need no registry. What is installed here comes first.
    (site,) = home.glob("lib/python*/site-packages")
    (site / "libraries.pth").write_text(next(path for path in sys.path if path.endswith("site-packages")))
    assert PROJECT["version"] in run(command, "--version", cwd=tmp_path)
    place = run(python, "-c", "import stopcast; print(stopcast.__file__)", cwd=tmp_path).strip()
    assert Path(place).is_relative_to(site)
    assert "Quick start" in run(command, "help", "quickstart", cwd=tmp_path)
    assert "密钥" in run(command, "help", "credentials", "--lang", "zh", cwd=tmp_path)
    assert "InvalidAccessKey" in run(command, "help", "InvalidAccessKey", cwd=tmp_path)
    (tmp_path / "tasks.csv").write_text("AppId,RoomId,TaskId\napp,room-1,task-1\n")
    assert "1 stopped" in run(command, "run", "tasks.csv", "--sandbox", cwd=tmp_path)
    run(command, "summary", "stopcast-report.jsonl", "--html", "page.html", cwd=tmp_path)
    assert "<html" in (tmp_path / "page.html").read_text("utf-8")
