"""The README was run: every command in it, in order, in a fresh copy, and it prints what the README says."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from perenne.common import strict_yaml
from tests import warm
from tests.project import ROOT, Project, clone

STAGES = list(strict_yaml.load(ROOT / "dvc.yaml")["stages"])
README = (ROOT / "README.md").read_text(encoding="utf-8")
# Where a command is meant to fail, the README shows the error.
FAILS = "error:"


class Command(NamedTuple):
    """A command of the README, and the lines it shows."""

    text: str
    shows: list[str]


def commands(text: str) -> list[Command]:
    """Return what stands after `$ ` (and goes on after `> `) in console blocks, with what follows."""
    found: list[Command] = []
    for block in re.findall(r"^```console\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Command(line[2:], []))
            elif line.startswith("> "):
                last = found.pop()
                found.append(Command(f"{last.text}\n{line[2:]}", last.shows))
            else:
                found[-1].shows.append(line)
    return found


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a copy of the project as a new user has it, but for the environment, which is this one."""
    project = clone(tmp_path_factory.mktemp("readme") / "perenne")
    (project.path / ".venv").symlink_to(Path(sys.prefix))
    # Else `make repro` would bring this environment up to date, under the feet of the tests that run in it.
    assert project.run("make -q venv", status=None).returncode == 0, (
        "the environment is not the lock's: make dev"
    )
    return project


@pytest.mark.minutes
def test_every_command_does_what_the_readme_says(fresh: Project) -> None:
    """Each command runs, in order, and prints the lines shown, in their order."""
    found = commands(README)
    assert len(found) > 30, "the README's console blocks were not found"
    for command in found:
        # The first one reproduces, and that with all threads, as on a user's machine.
        first = f"unset {' '.join(warm.ONE_THREAD)}; " if command is found[0] else ""
        done = fresh.run(first + command.text, status=None)
        fails = any(line.startswith(FAILS) for line in command.shows)
        assert (done.returncode != 0) == fails, f"{command.text}\n{done.stdout}\n{done.stderr}"
        if first:  # the committed `dvc.lock` is what this machine makes, at full size, under this Python
            assert re.findall(r"Running stage '(\w+)'", done.stdout) == STAGES
            assert fresh.out("git status --porcelain") == ""
        printed = iter((done.stdout + done.stderr).splitlines())
        if command.text.startswith("git status"):
            assert done.stdout.splitlines() == command.shows
        for line in command.shows:
            assert any(squeezed(line) == squeezed(p) for p in printed), (
                f"{command.text} did not print {line!r}"
            )


def squeezed(line: str) -> str:
    """Return a line with each run of blanks as one: the width of a table's columns is not its content."""
    return " ".join(line.split())


def test_picture_is_the_dag(tmp_path: Path) -> None:
    """The Mermaid picture is what DVC draws of `dvc.yaml`."""
    drawn = clone(tmp_path / "perenne").out("dvc dag --mermaid")
    pictures = re.findall(r"^```mermaid\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
    assert pictures[0].split() == drawn.split()


def test_contributing_lists_every_make_target() -> None:
    """The table says all that `make help` says, and no target that there is not."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    table = re.findall(
        r"^\| (`make .*?) \|", (ROOT / ".github" / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE
    )
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)) - {"help"}
    assert {name for row in table for name in re.findall(r"`make ([a-z-]+)`", row)} == targets
