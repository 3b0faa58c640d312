"""A repository to release in, with a real origin, and a clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol

import pytest

from perenne.common import git
from perenne.registry import publish, tags
from tests.project import Project, environment

LONG_AGO = 1_600_000_000  # 2020-09-13: what GTO's commands tag by the machine's clock is later


class Release(Protocol):
    """A function that releases as the release code does."""

    def __call__(self, version: str, *, proof: str | None = None, push: bool = False) -> str:
        """Make a commit, release it to prod, and return its id."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a repository with one commit and a bare origin, as the current folder; the user is Ada."""
    project = Project(tmp_path / "here")
    project.write("model", "one\n")
    project.run("git init -q -b main && git init -q --bare -b main ../origin.git")
    project.commit("first")
    project.run("git remote add origin ../origin.git && git push -q origin main")
    for name, value in environment(project.path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.path)
    return project


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Set the clock of publish to one that began long ago, and return what it tells next."""
    seconds = itertools.count(LONG_AGO, 60)
    monkeypatch.setattr(publish, "time", SimpleNamespace(time=lambda: next(seconds)))
    return seconds


@pytest.fixture
def release(here: Project, clock: Iterator[int]) -> Callable[..., str]:  # noqa: ARG001 -- at that time
    """Return a function that makes a commit, releases it to prod as the release code does, and names it."""

    def made(version: str, *, proof: str | None = None, push: bool = False) -> str:
        # Long ago as well: to GTO a commit as late as a tag that deprecates its model takes that back.
        here.run(
            f"git commit -q --allow-empty -m 'for {version}'", GIT_COMMITTER_DATE=f"@{LONG_AGO - 9} +0000"
        )
        head = git.commit("HEAD")
        message = f"The text of {version}\n" + (f"\n---\n{proof}" if proof else "")
        stage = publish.assigned(tags.read("retirement"), "prod", head, "released")
        publish.publish([publish.Tag(f"retirement@{version}", head, message), stage], push=push)
        return head

    return made
