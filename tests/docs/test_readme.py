"""The README says what is so."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from stopcast.cli.group import group
from stopcast.cli.usage import HELP
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator
from stopcast.tasks.outcome import Status

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = ("run", "verify", "doctor", "enqueue", "worker", "status", "summary", "sandbox", "help", "completion")


def _help(command: str) -> str:
    result = CliRunner().invoke(group, [command, "--help"])
    assert result.exit_code == 0, result.output
    return result.output


def _masked(text: str) -> str:
    """Return the text with its figures masked: they differ from run to run."""
    return re.sub(r"[0-9][0-9.,]*", "N", text).strip()


def test_every_option_that_the_readme_names_exists() -> None:
    known = set(re.findall(r"--[a-z][a-z-]+", "".join(map(_help, COMMANDS)) + HELP))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README))
    assert named - known == set()


def test_every_option_of_the_contract_is_in_the_help_of_run() -> None:
    options = "--report --resume --dry-run --format --columns --max-per-second --raised-quota --max-at-once"
    options += " --max-attempts --timeout --limit --expect --only --endpoint --region --api-version --sandbox --json"
    options += " --yes --quiet --verbose --halt-after"
    assert set(options.split()) - set(re.findall(r"--[a-z][a-z-]+", _help("run"))) == set()


def test_the_help_names_every_command_and_both_ways_to_print_it_agree() -> None:
    for command in COMMANDS:
        assert f"\n  {command} " in HELP
    printed = subprocess.run(
        [sys.executable, "-m", "stopcast", "--help"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert printed == HELP
    assert CliRunner().invoke(group, ["--help"]).output == HELP


def test_the_first_command_prints_what_the_readme_shows(tmp_path: Path) -> None:
    command = re.search(r"\.venv/bin/(stopcast run [^\n]*)", README)
    shown = re.search(r"```\n(.*?)```", README, re.DOTALL)
    assert command is not None
    assert shown is not None
    arguments = shlex.split(command[1].replace("report.jsonl", str(tmp_path / "report.jsonl")))[1:]
    done = subprocess.run(
        [sys.executable, "-m", "stopcast", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert _masked(done.stderr.replace(str(tmp_path) + "/", "")) == _masked(shown[1])


def test_the_status_table_is_the_statuses() -> None:
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| .* \| (yes|no) \| (yes|no) \|$", README, re.MULTILINE)
    told = {status: (again, good) for names, again, good in rows for status in re.findall(r"`(\w+)`", names)}
    words = {True: "yes", False: "no"}
    assert told == {status.value: (words[not status.settled], words[status.good]) for status in Status}


def test_every_promise_names_tests_that_there_are() -> None:
    table = README.split("## What it promises")[1].split("\n## ")[0]
    cells = [line.split("|")[2] for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(cells) >= 15
    for cell in cells:
        for shown in cell.split(";"):
            name, sentence = re.fullmatch(r"\s*`(\w+)`: ([\w ]+?)\s*", shown).groups()  # type: ignore[union-attr]
            (file,) = (ROOT / "tests").rglob(f"test_{name}.py")
            tests = file.read_text()
            assert f"def test_{sentence.replace(' ', '_')}(" in tests, sentence


def test_the_map_of_the_code_names_every_module_and_no_other() -> None:
    table = README.split("## The code")[1].split("## ")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| ")][1:]
    named = {word.strip("/") for row in rows for word in re.findall(r"`([a-z_/]+)`", row[2])}
    package = ROOT / "src" / "stopcast"
    modules = {path.stem for path in package.glob("*.py") if not path.stem.startswith("__")}
    modules |= {path.parent.name for path in package.glob("*/__init__.py")}
    assert named & modules == modules
    inside_engine = {path.stem for path in (package / "engine").glob("*.py")}
    assert named - modules - inside_engine == set()


async def test_the_library_s_lines_run_as_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    snippet = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert snippet is not None
    assert len(snippet[1].strip().splitlines()) <= 7
    async with Emulator() as emulator:
        source = "import stopcast\nasync def main(Stopper, tasks):\n" + textwrap.indent(snippet[1], "    ")
        source = source.replace("stopcast.Stopper()", "Stopper()").replace("    import stopcast\n", "")
        names: dict[str, object] = {}
        exec(compile(ast.parse(source), "README.md", "exec"), names)
        import stopcast

        def stopper() -> stopcast.Stopper:
            return stopcast.Stopper(SANDBOX_CREDENTIALS, endpoint=emulator.url)

        main = names["main"]
        assert callable(main)
        await main(stopper, [("app", "room", "other")])
    assert "stopped" in capsys.readouterr().out


def _blocks(heading: str) -> list[str]:
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


def _observing_blocks() -> list[str]:
    return [block for block in _blocks("In a service") if "observers=[" in block]


@pytest.mark.parametrize("block", _observing_blocks())
async def test_the_lines_on_observers_run_as_they_stand(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    import stopcast

    async with Emulator() as emulator:
        source = "async def main():\n" + textwrap.indent(block.replace("stopcast.Stopper(", "Stopper("), "    ")
        names: dict[str, object] = {"Stopper": partial(stopcast.Stopper, SANDBOX_CREDENTIALS, endpoint=emulator.url)}
        exec(compile(source, "README.md", "exec"), names)
        main = names["main"]
        assert callable(main)
        await main()
        assert emulator.calls == 1
    assert ("ok after" in capsys.readouterr().out) == ("print" in block)


def test_the_recipes_pass_as_they_stand(tmp_path: Path) -> None:
    conftest, *recipes = _blocks("In your tests")
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_recipes.py").write_text("\n\n".join(recipes))
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\nfilterwarnings = error\n")
    arguments = ["-q", "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, f"{len(recipes) - 1} passed" in done.stdout) == (0, True), done.stdout


def test_every_metric_and_every_event_has_its_place_in_the_readme() -> None:
    from prometheus_client import CollectorRegistry

    from stopcast.events import Event
    from stopcast.logs import ENTRIES
    from stopcast.prometheus import PrometheusObserver
    from stopcast.redis_metrics import RedisMetrics

    registry = CollectorRegistry()
    PrometheusObserver(registry)
    registry.register(RedisMetrics())
    metrics = {f"{family.name}_total" if family.type == "counter" else family.name for family in registry.collect()}
    told = set(re.findall(r"`(stopcast_[a-z_]+)", README))
    assert told == metrics
    events = {kind.__name__ for kind in Event.__args__}
    assert events <= set(re.findall(r"`([A-Z][A-Za-z]+)`", README))
    assert {entry.name for entry in ENTRIES.values()} <= set(re.findall(r"`([a-z_]+)`", README))


def test_continuous_integration_runs_the_readme_s_two_commands() -> None:
    commands = re.findall(r"^    (python3 -m venv .*)$", README, re.MULTILINE)
    assert len(commands) == 2
    script = (ROOT / ".ci" / "run").read_text()
    assert script.count("command_with '") == 2


def test_every_benchmark_is_told_of_with_its_last_figures() -> None:
    told = (ROOT / "benchmarks" / "README.md").read_text()
    scripts = {path.name for path in (ROOT / "benchmarks").glob("*.py")} - {"measuring.py", "server.py"}
    assert set(re.findall(r"^\| `([a-z_]+\.py)` \|", told, re.MULTILINE)) == scripts
    assert set(re.findall(r"^### ([a-z_]+\.py)$", told, re.MULTILINE)) == scripts
