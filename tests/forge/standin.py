"""GitHub as the tests' own `gh` answers for it, from files: for what runs in another process."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from perenne.forge.github import WORKFLOWS, GitHub
from perenne.forge.port import CommitStatus
from tests.forge.double import Release, Started
from tests.project import ROOT

GH = ROOT / "tests" / "workflows" / "gh.py"
BASELESS = {workflow: check for check, (workflow, _) in WORKFLOWS.items()}


class StandIn(NamedTuple):
    """The files that `gh` answers from. Its methods have the names of the double's, for the contract test."""

    folder: Path

    @property
    def host(self) -> GitHub:
        """The host that is tested."""
        return GitHub("ada/perenne")

    def read(self, name: str) -> list[dict[str, Any]]:
        """Return a list of what GitHub knows."""
        file = self.folder / f"{name}.json"
        known: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() else []
        return known

    def add(self, name: str, **item: Any) -> None:
        """Add an item to a list of what GitHub knows."""
        (self.folder / f"{name}.json").write_text(json.dumps([*self.read(name), item]))

    def requested(
        self,
        branch: str,
        head: str = "a" * 40,
        *,
        repository: str | None = "ada/perenne",
        base: str = "main",
        files: Sequence[str] = (),
    ) -> int:
        """Have somebody open a pull request."""
        number = len(self.read("pulls")) + 7
        owner = {"login": (repository or "gone/gone").split("/")[0]}
        repo = {"full_name": repository, "owner": owner} if repository else None
        at = {"ref": branch, "sha": head, "repo": repo, "user": owner}
        self.add("pulls", number=number, title="theirs", body=None, head=at, base={"ref": base})
        (self.folder / f"files-{number}.json").write_text(json.dumps([changed(name) for name in files]))
        return number

    def reported(self, title: str, body: str, *, trusted: bool) -> int:
        """Have somebody open an issue."""
        number = len(self.read("issues")) + 1
        person = {
            "user": {"login": "eve"},
            "author_association": "COLLABORATOR" if trusted else "CONTRIBUTOR",
        }
        self.add("issues", number=number, title=title, body=body, state="open", **person)
        return number

    def replied(self, number: int, body: str) -> None:
        """Have somebody comment."""
        self.add(
            "comments", id=len(self.read("comments")) + 1, number=number, body=body, user={"login": "eve"}
        )

    def uploaded(self, name: str, data: bytes, *, expired: bool = False) -> None:
        """Have a run upload an artifact; each has a folder of its own, in the order of their names."""
        folder = self.folder / "artifacts" / f"{len(list(self.folder.glob('artifacts/*/'))):03}"
        folder.mkdir(parents=True)
        (folder / f"{name}{'.expired' if expired else ''}.zip").write_bytes(data)

    @property
    def statuses(self) -> list[tuple[str, CommitStatus]]:
        """What was attached to commits."""
        return [
            (one["sha"], CommitStatus(one["context"], one["state"], one["description"], one["target_url"]))
            for one in self.read("statuses")
        ]

    @property
    def started(self) -> list[Started]:
        """What was started by name; a workflow that takes no base reports `main`."""
        return [
            Started(BASELESS[one["workflow"]], one["ref"], one.get("inputs", {}).get("base", "main"))
            for one in self.read("dispatches")
        ]

    @property
    def releases(self) -> list[Release]:
        """The release pages."""
        return [
            Release(
                one["tag"],
                one["options"][one["options"].index("--title") + 1],
                one["notes"],
                (*one["assets"],),
            )
            for one in self.read("releases")
        ]


def changed(name: str) -> dict[str, str]:
    """Return a changed file as GitHub lists it; `old -> new` is a renamed one."""
    before, arrow, after = name.partition(" -> ")
    return {"filename": after, "previous_filename": before} if arrow else {"filename": name}


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Put the tests' `gh` first on the PATH, by this interpreter, whatever the machine calls python3."""
    state, commands = folder / "hub", folder / "commands"
    (state / "artifacts").mkdir(parents=True)
    commands.mkdir()
    (commands / "gh").write_text(f'#!/bin/sh\nexec {sys.executable} {GH} "$@"\n')
    (commands / "gh").chmod(0o755)
    monkeypatch.setenv("PATH", str(commands), prepend=os.pathsep)
    for name, value in {"HUB": str(state), "GITHUB_REPOSITORY": "ada/perenne", "GH_TOKEN": "token"}.items():
        monkeypatch.setenv(name, value)
    return StandIn(state)
