"""The command as a person meets it: help, version and completion, and no wait for what is not used."""

from __future__ import annotations

import importlib.metadata
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from perenne.actions import runner
from perenne.cli import app
from perenne.common.status import Status
from tests.project import ROOT, Project


def paths(group: typer.core.TyperGroup, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Return the words that lead to every group and command, hidden ones included."""
    yield above
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            yield from paths(command, (*above, name))
        else:
            yield (*above, name)


ROOT_GROUP = typer.main.get_command(app)
assert isinstance(ROOT_GROUP, typer.core.TyperGroup)
PATHS = list(paths(ROOT_GROUP))


@pytest.fixture
def anywhere(tmp_path: Path) -> Project:
    """Return an empty folder, where `perenne` is the installed one."""
    (tmp_path / "empty").mkdir()
    return Project(tmp_path / "empty")


def test_every_folder_with_commands_is_in_the_tree() -> None:
    """The root, a command, a group and a command of a group: the next test sees all of them."""
    assert {(), ("gate",), ("github",), ("github", "look")} <= set(PATHS)


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_h_shows_what_help_shows(path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """`-h` works on every command and group."""
    monkeypatch.setattr(runner, "identify", lambda: None)  # it would change this process's Git user
    short, long = (CliRunner().invoke(app, [*path, option]) for option in ("-h", "--help"))
    assert (short.exit_code, long.exit_code) == (0, 0), short.output
    assert short.output == long.output
    assert short.output.split()[: len(path) + 2] == ["Usage:", "root", *path]


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_wrong_command_line_has_a_status_of_its_own(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown option ends as no failure and no answer does."""
    monkeypatch.setattr(runner, "identify", lambda: None)  # it would change this process's Git user
    assert CliRunner().invoke(app, [*path, "--no-such-option"]).exit_code == Status.USAGE


def test_crash_is_no_answer(anywhere: Project) -> None:
    """Python's status after a traceback is that of every other failure."""
    crash = "from perenne import cli; cli.app = lambda: 1 / 0; cli.main()"
    done = anywhere.run(f'python -c "{crash}"', status=Status.FAILED)
    assert "ZeroDivisionError" in done.stderr


def test_version_is_that_of_the_project(anywhere: Project) -> None:
    """`perenne --version` prints the version of pyproject.toml, read from the installed package."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert anywhere.out("perenne --version") == f"perenne {version}\n"


def test_version_of_a_source_folder_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package is not installed, the answer says so instead of failing."""

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    shown = CliRunner().invoke(app, ["--version"])
    assert shown.exit_code == 0
    assert shown.stdout == (
        "perenne (version unknown: this is a source folder, and the package is not installed)\n"
    )


def test_shell_completes_commands_and_options(anywhere: Project) -> None:
    """The shell gets the commands that begin so, and no hidden one; then a command's options."""
    complete = {"_PERENNE_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    assert anywhere.out("perenne", **complete, COMP_WORDS="perenne mo").split() == ["models", "monitor"]
    assert anywhere.out("perenne", **complete, COMP_WORDS="perenne gi").split() == []
    complete["COMP_CWORD"] = "2"
    assert anywhere.out("perenne", **complete, COMP_WORDS="perenne gate --po").split() == ["--policy-from"]


def test_completion_script_can_be_shown(anywhere: Project) -> None:
    """`--show-completion` prints what a shell has to read."""
    script = anywhere.out("perenne --show-completion bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "complete -o default -F _perenne_completion perenne" in script
