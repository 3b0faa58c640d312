"""The projects that tests share."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from perenne.registry import variables
from tests import warm
from tests.project import Project, clone, environment

Enter = Callable[[Project], None]

SMALL = 0.02  # of the company: some 190 employees a quarter, every code path, a second a stage


def pytest_configure() -> None:
    """Before the workers start: they inherit what is set here."""
    # For `make coverage`: the stages of a clone are measured too.
    os.environ.setdefault(variables.MORE, "COVERAGE_PROCESS_START COVERAGE_PROCESS_CONFIG")
    warm.begin()


def pytest_unconfigure() -> None:
    """After all tests."""
    warm.finish()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes minutes: the workers then end together."""
    items.sort(key=lambda item: item.get_closest_marker("minutes") is None)


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every command be a new process from its first import on, as a user's is, with all threads."""
    start_cold(monkeypatch)


def start_cold(patch: pytest.MonkeyPatch) -> None:
    """Let every command be such a process while this patch lasts."""
    patch.setenv(warm.VARIABLE, "")
    for name in warm.ONE_THREAD:
        patch.delenv(name, raising=False)


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that is made once for all workers of this run; whoever is first makes it."""
    run = factory.getbasetemp()
    folder = (run.parent if os.environ.get("PYTEST_XDIST_WORKER") else run) / f"shared-{name}"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = folder.with_suffix(".made")
        if not made.exists():
            make(folder)
            made.touch()
    return folder


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the default case on a small company, reproduced and committed. Shared: copy it to change it."""
    return Project(once(tmp_path_factory, "small", make_small) / "project")


def make_small(folder: Path) -> None:
    """Make the small project."""
    warm.wait()
    project = clone(folder / "project")
    project.edit(r"^  scale: .*", f"  scale: {SMALL}")
    project.edit(r"^  resamples: .*", "  resamples: 100")
    project.edit(r"^  importance_rows: .*", "  importance_rows: 200")
    project.edit(r"^  importance_repeats: .*", "  importance_repeats: 1")
    project.repro()
    project.commit("small")


@pytest.fixture
def project(small: Project, tmp_path: Path) -> Project:
    """Return a copy of the small project, free to be changed."""
    return small.copy(tmp_path / "project")


@pytest.fixture(scope="session")
def founded(small: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the small project with a bare origin and a first, poor model in prod. Shared: see `company`."""
    return Project(once(tmp_path_factory, "founded", partial(make_founded, small)) / "ada")


def make_founded(small: Project, folder: Path) -> None:
    """Release a first model of the small project."""
    folder.mkdir()
    project = small.copy(folder / "ada")
    project.run("git init -q --bare -b main ../origin.git && git remote add origin ../origin.git")
    # What watches the model takes longer than all that makes it, and no release depends on it.
    project.edit(r"(?s)^  drift:\n.*?(?=^(  )?\S|\Z)", "", "dvc.yaml")
    project.edit(r"(?s)^  drift:\n.*?(?=^(  )?\w|\Z)", "", "dvc.lock")
    # Some 230 employees prove little: enough to be let through where nothing is wrong.
    project.edit(r"min_blocks: .*}", "min_blocks: 20}")
    project.edit(r"slices: {margin: [0-9.]+", "slices: {margin: 2")
    project.edit(r"    calibration: \{\}.*\n", "")
    project.edit(r"floor: {min_gain: [0-9.]+", "floor: {min_gain: 0")
    project.edit(r"latency: .*", "latency: {max_ratio: 50} # whatever else the machine does")
    project.edit(r"size: .*", "size: {max_ratio: 50} # a model of three rounds is small")
    project.edit(r"budget_ms: \d+", "budget_ms: 10000")
    # None of them is over 67, and a slice without a row is no pass.
    project.edit(r"bins: \[60, 62, 65, 67, 70\]", "bins: [60, 62, 70]", "data/cases/retirement/contract.yaml")
    project.edit(r"max_iter: .*", "max_iter: 3")
    project.repro()
    project.commit("a policy for a small company")
    project.run("git push -q -u origin main")
    project.run("perenne gate --push && perenne release --push")


@pytest.fixture
def company(founded: Project, tmp_path: Path) -> Project:
    """Return a copy of the released project, its origin and its remote beside it, free to be changed."""
    shutil.copytree(founded.path.parent, tmp_path / "company", symlinks=True)
    return Project(tmp_path / "company" / "ada")


@pytest.fixture
def enter(monkeypatch: pytest.MonkeyPatch) -> Enter:
    """Return what makes a project the current folder of this process: quicker than a process a command."""

    def go(project: Project) -> None:
        monkeypatch.chdir(project.path)
        monkeypatch.setattr(sys, "executable", str(warm.commands() / "python"))
        for name, value in environment(project.path).items():
            monkeypatch.setenv(name, value)

    return go
