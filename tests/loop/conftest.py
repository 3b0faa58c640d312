"""A small company whose model is in prod, and which a law is about to change."""

from __future__ import annotations

import hashlib
import shutil
from functools import partial
from pathlib import Path

import pytest

from perenne.common import git
from perenne.common.status import Status
from perenne.documents.decision import MonitorDecision
from perenne.loop import monitor
from perenne.registry import publish, tags
from perenne.registry.publish import Tag
from tests.conftest import Enter, once
from tests.project import Project

LAW = "2021Q4"  # when the labels of the small company have told of the law of 2021Q1


def release(project: Project, version: str = "v1.0.0", case: str = "retirement") -> None:
    """Put the model of the last commit into prod as a release does, whatever a gate would say of it."""
    sha256 = hashlib.sha256((project.path / "data/model/model.skops").read_bytes()).hexdigest()
    head = git.commit("HEAD")
    message = f"by hand\n\n---\nmodel: {{sha256: '{sha256}'}}\n"
    assigned = publish.assigned(tags.read(case), "prod", head, "released")
    publish.publish([Tag(f"{case}@{version}", head, message), assigned], push=False)


@pytest.fixture
def watched(small: Project, tmp_path: Path, enter: Enter) -> Project:
    """Return the small project, all stages in it and its model in prod, as the current folder."""
    project = small.copy(tmp_path / "project")
    enter(project)
    release(project)
    return project


@pytest.fixture(scope="session")
def decision(founded: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file with the decision about the released company, a year after the law. Shared."""
    return once(tmp_path_factory, "decision", partial(make_decision, founded)) / "decision.json"


def make_decision(founded: Project, folder: Path) -> None:
    """Monitor a copy: others may be copying the company meanwhile."""
    shutil.copytree(founded.path.parent, folder / "company", symlinks=True)
    copy = Project(folder / "company" / "ada")
    demanding(copy)
    copy.run(f"perenne monitor --through {LAW} --offline --out {folder}", status=11)
    # What its stages make of the new data, for DVC to take from its run cache in every test that retrains.
    copy.run(f"perenne retrain --through {LAW}", status=Status.REJECTED)
    (copy.path / ".dvc" / "cache").rename(folder / "cache")


def demanding(project: Project) -> None:
    """Ask for a gain that no model of these few rows shows, however right its scores are."""
    project.edit(r"floor: {min_gain: 0}", "floor: {min_gain: 0.9}")
    project.commit("a policy that nothing passes")


def add(source: str, target: str) -> None:
    """Copy a file that is not there yet: files of DVC's cache are read-only."""
    if not Path(target).exists():
        shutil.copy2(source, target)


@pytest.fixture
def stale(company: Project, enter: Enter, decision: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return the released company, in a world that a law has changed since, as the current folder.

    The decision of the monitor is prepared: to make it takes as long as everything else.
    """
    company.edit(r"on_eligible: \S+", "on_eligible: release")
    demanding(company)
    company.run("git push -q")
    shutil.copytree(
        decision.parent / "cache", company.path / ".dvc" / "cache", dirs_exist_ok=True, copy_function=add
    )
    enter(company)
    monkeypatch.setattr(monitor, "monitor", lambda *_: MonitorDecision.load(decision))
    return company


@pytest.fixture
def lenient(stale: Project) -> Project:
    """Return it with a gate that passes a model of few rows."""
    stale.edit(r"    floor: .*\n", "")
    stale.edit(r"^  loss: .*", "  loss: 0.99 # whatever has come is no worse")
    stale.commit("a lenient policy")
    stale.run("git push -q")
    return stale
