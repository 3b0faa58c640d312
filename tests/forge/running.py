"""A runner's variables, and the tests' own `gh`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.project import ROOT


class Runner(NamedTuple):
    """What a job finds: the folder of what `gh` answers from, and files of its own."""

    folder: Path

    def happens(self, **event: Any) -> None:
        """Write the event."""
        (self.folder / "event.json").write_text(json.dumps(event))

    def knows(self, name: str, value: Any) -> None:
        """Write a list of what GitHub knows."""
        (self.folder / f"{name}.json").write_text(json.dumps(value))

    def read(self, name: str) -> Any:
        """Return a list of what GitHub knows."""
        return json.loads((self.folder / f"{name}.json").read_text())

    def said(self, name: str) -> str:
        """Return what was written to the summary or to the outputs."""
        return (self.folder / name).read_text()


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Return the runner of a job in ada/perenne."""
    folder, commands = tmp_path / "hub", tmp_path / "commands"
    (folder / "artifacts").mkdir(parents=True)
    commands.mkdir()
    (commands / "gh").symlink_to(ROOT / "tests" / "workflows" / "gh.py")
    for name, value in {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "HUB": str(folder),
        "GH_TOKEN": "secret-token",
        "GITHUB_REPOSITORY": "ada/perenne",
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "GITHUB_OUTPUT": str(folder / "output"),
    }.items():
        monkeypatch.setenv(name, value)
    return Runner(folder)
