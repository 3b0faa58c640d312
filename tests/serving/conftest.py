"""A company whose model is served."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.project import Project
from tests.serving.running import Running, serving


@pytest.fixture(scope="module")
def served(founded: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return the released company, served. Shared by a module: its tests leave it as they find it."""
    to = tmp_path_factory.mktemp("served") / "company"
    shutil.copytree(founded.path.parent, to, symlinks=True)
    with serving(Project(to / "ada")) as running:
        yield running
