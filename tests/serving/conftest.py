"""A company with a running service."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.project import Project
from tests.serving.running import Running, serving


@pytest.fixture(scope="module")
def served(founded: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return the released company with its service. A module shares it: tests leave its state unchanged."""
    to = tmp_path_factory.mktemp("served") / "company"
    shutil.copytree(founded.path.parent, to, symlinks=True)
    with serving(Project(to / "ada")) as running:
        yield running
