"""The README and the manual: their links lead somewhere, and their blocks run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import stopcast
from stopcast.cli.group import group
from stopcast.cli.usage import HELP
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator
from stopcast.sandbox.thread import serving
from support.command import without_times
from support.documents import CHINESE, DOCUMENTS, MANUAL, README, ROOT, assert_tests_pass, blocks, masked, page
from support.processes import Shell, until
from support.terminal import terminal

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
TEXT = "".join(DOCUMENTS.values())


def _options(command: str) -> set[str]:
    return set(OPTION.findall(CliRunner().invoke(group, [command, "--help"]).output))


def _anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_link_leads_somewhere() -> None:
    for path in (*DOCUMENTS, *CHINESE, ROOT / "benchmarks/README.md"):
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", path.read_text("utf-8")):
            name, _, anchor = target.partition("#")
            file = (path.parent / name).resolve() if name else path
            assert file.is_file(), f"{path.name}: {target}"
            assert not anchor or anchor in _anchors(file), f"{path.name}: {target}"


def test_the_readme_is_short_and_names_each_page_of_the_manual() -> None:
    assert len(README.splitlines()) <= 200
    linked = set(re.findall(r"\(src/stopcast/manual/([a-z]+)\.md\)", README.split("## Manual")[1]))
    assert linked == {path.stem for path in MANUAL.glob("*.md")}


def test_each_example_is_mentioned() -> None:
    names = {path.name for path in (ROOT / "examples").iterdir() if path.is_file()}
    assert {name for name in names if f"examples/{name}" not in TEXT} == set()


def test_every_option_that_a_document_names_exists() -> None:
    commands = group.list_commands(click.Context(group))
    known = set().union(*map(_options, commands)) | set(OPTION.findall(HELP)) | {"--seeds"}  # of the simulation
    assert set(OPTION.findall(TEXT)) - known == set()


def test_every_option_of_the_contract_is_in_the_help_of_run() -> None:
    options = "--report --resume --dry-run --format --columns --max-per-second --raised-quota --max-at-once"
    options += " --max-attempts --timeout --limit --expect --only --endpoint --region --api-version --sandbox --json"
    options += " --yes --quiet --verbose --halt-after"
    assert set(options.split()) - _options("run") == set()


def test_the_first_command_prints_what_the_readme_shows(tmp_path: Path) -> None:
    command = re.search(r"\.venv/bin/stopcast (run [^\n]*)", README)
    assert command is not None
    arguments = shlex.split(command[1].replace("report.jsonl", str(tmp_path / "report.jsonl")))
    done = subprocess.run(
        [sys.executable, "-m", "stopcast", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert masked(_at_terminal(done.stderr.replace(f"{tmp_path}/", ""))) == masked(blocks(README)[0])


def _at_terminal(log: str) -> str:
    """Return a log as it is at a terminal: without times, and without the line that the display stands for."""
    return re.sub(r"^.*PID \d+\n", "", without_times(log), flags=re.MULTILINE)


def test_the_first_command_of_the_readme_shows_the_display(shell: Shell) -> None:
    (shell / "examples").symlink_to(ROOT / "examples")
    command = re.search(r"'\.\[cli\]'.*\.venv/bin/stopcast (run [^\n]*)", README)
    assert command is not None
    with terminal(shell, *shlex.split(command[1])) as shown:
        until(lambda: "Stopping examples/tasks.csv" in shown.text and "q end" in shown.text)
        assert shown.end() == 0


@pytest.mark.parametrize(
    ("path", "text"),
    [
        pytest.param(path, text, id=f"{path.parent.name}-{path.stem}")
        for path, text in {**DOCUMENTS, **CHINESE}.items()
        if blocks(text, "console")
    ],
)
def test_the_commands_of_a_page_print_what_it_shows(path: Path, text: str, shell: Shell) -> None:
    shell.variables["STOPCAST_LANG"] = "zh" if path in CHINESE else "en"
    (shell / "examples").symlink_to(ROOT / "examples")
    shell.variables["PATH"] = f"{Path(sys.executable).parent}:{shell.environment['PATH']}"
    with serving(Emulator()) as api:
        for block in blocks(text, "console"):
            for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
                shell.variables["STOPCAST_ENDPOINT"] = "" if "--sandbox" in command else api.url
                done = shell.start("-c", f"exec 2>&1; {command}", program=("bash",)).communicate(timeout=60)[0].decode()
                printed = done.replace(f" --endpoint {api.url}", "").replace(str(shell.directory), "/home/me")
                assert masked(_at_terminal(printed)) == masked(shown), command


@pytest.mark.parametrize(
    "block",
    [block for path, text in DOCUMENTS.items() if path.stem != "testing" for block in blocks(text, "python")],
    ids=lambda block: block.splitlines()[0],
)
async def test_the_lines_of_python_run_as_they_stand(
    block: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    async def keep(outcome: stopcast.Outcome) -> None:
        assert outcome.good

    redis_url = request.getfixturevalue("redis_url") if "redis" in block.lower() else ""
    replaced = {
        "stopcast.Stopper(": "Stopper(",
        "redis://quota.internal": redis_url,
        "redis://host:6379/0": redis_url,
        "RedisConsumer(url": "RedisConsumer(url, until_empty=True",
    }
    for shown, run in replaced.items():
        block = block.replace(shown, run)
    async with Emulator() as api:
        names = {
            "Stopper": partial(stopcast.Stopper, SANDBOX_CREDENTIALS, endpoint=api.url),
            "stopcast": stopcast,
            "keep": keep,
            "tasks": [("app", "room", "another")],
            "url": f"{redis_url}/recordings",
        }
        exec(compile("async def main():\n" + textwrap.indent(block, "    "), "a document", "exec"), names)
        main = names["main"]
        assert callable(main)
        await main()
        assert bool(api.stopped) == (".stop" in block)
    assert bool(capsys.readouterr().out) == ("print(" in block)


def test_the_recipes_for_tests_pass_as_they_stand(tmp_path: Path) -> None:
    conftest, *recipes = blocks(page("testing"), "python")
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_recipes.py").write_text("\n\n".join(recipes))
    assert_tests_pass(tmp_path, len(recipes) - 1)


def test_continuous_integration_runs_the_readme_s_two_commands() -> None:
    assert len(re.findall(r"^    python3 -m venv .*$", README, re.MULTILINE)) == 2
    assert (ROOT / ".ci/run").read_text().count("command_with '") == 2
