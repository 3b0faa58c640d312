"""What a job runs with: the runner's variables and files, and a Git host in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from perenne import forge
from tests.forge.double import Double


class Runner(NamedTuple):
    """The folder of a runner's files."""

    folder: Path

    def happens(self, **event: Any) -> None:
        """Write the event."""
        (self.folder / "event.json").write_text(json.dumps(event))

    def written(self, name: str) -> str:
        """Return what was written to the summary or to the outputs."""
        return (self.folder / name).read_text()


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Return the runner of a job in ada/perenne."""
    folder = tmp_path / "runner"
    folder.mkdir()
    for name, value in {
        "GH_TOKEN": "secret-token",
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "GITHUB_OUTPUT": str(folder / "output"),
    }.items():
        monkeypatch.setenv(name, value)
    return Runner(folder)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Double:
    """Return the Git host that the job runs on."""
    double = Double()
    monkeypatch.setattr(forge, "current", lambda: double)
    return double
