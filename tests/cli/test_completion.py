"""`stopcast completion SHELL`, and what a shell completes with it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from stopcast.cli.group import group
from support.processes import Shell

SHELLS = ("bash", "zsh", "fish")


@pytest.mark.parametrize("name", SHELLS)
def test_a_shell_gets_a_script_in_its_own_language(name: str) -> None:
    result = CliRunner().invoke(group, ["completion", name])
    assert result.exit_code == 0
    assert "_STOPCAST_COMPLETE" in result.stdout
    if (program := shutil.which(name)) is None:
        pytest.skip(f"there is no {name} here")
    subprocess.run([program, "-n"], input=result.stdout, text=True, check=True, timeout=60)


@pytest.mark.parametrize("name", ["", "tcsh"])
def test_another_shell_is_refused_with_the_names_of_those_that_are_known(name: str) -> None:
    result = CliRunner().invoke(group, ["completion", *filter(None, [name])])
    assert result.exit_code == 2
    assert all(known in result.stderr for known in SHELLS)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("stopcast ver", "verify"),
        ("stopcast run --can", "--canary"),
        ("stopcast run --format jsonl", "jsonl"),
        ("stopcast completion f", "fish"),
        ("stopcast help gav", "gave_up"),
        ("stopcast help InvalidAcc", "InvalidAccessKey"),
        ("stopcast summary r.jsonl --list set", "set_aside"),
        ("stopcast run --only gave_up,fai", "gave_up,failed"),
    ],
)
def test_bash_completes_commands_options_and_their_values(shell: Shell, typed: str, completed: str) -> None:
    shell.variables["PATH"] = f"{Path(sys.executable).parent}:{shell.environment['PATH']}"
    words = typed.split()
    script = (
        'eval "$(stopcast completion bash)"\n'
        f"COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _stopcast_completion stopcast; echo ${{COMPREPLY[*]}}"
    )
    done = subprocess.run(
        ["bash", "-c", script], env=shell.environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == [completed]


def test_a_list_and_a_report_are_completed_as_files(shell: Shell) -> None:
    for words in ("stopcast run ", "stopcast run -o ", "stopcast summary "):
        shell.variables |= {
            "_STOPCAST_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split())),
        }
        assert shell.run().out.startswith("file,"), words
