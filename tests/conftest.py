"""The projects that tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project import Project, clone

SMALL = 0.02  # of the company: some 190 employees a quarter, every code path, a second a stage


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the default case on a small company, reproduced and committed. Shared: copy it to change it."""
    project = clone(tmp_path_factory.mktemp("small") / "project")
    project.edit(r"^  scale: .*", f"  scale: {SMALL}")
    project.edit(r"^  resamples: .*", "  resamples: 100")
    project.edit(r"^  importance_rows: .*", "  importance_rows: 200")
    project.repro()
    project.commit("small")
    return project


@pytest.fixture
def project(small: Project, tmp_path: Path) -> Project:
    """Return a copy of the small project, free to be changed."""
    return small.copy(tmp_path / "project")
