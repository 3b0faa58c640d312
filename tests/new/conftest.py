"""The wheels that the tests of this room share, and projects that were begun with them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from perenne.new import template
from perenne.new.template import Template
from tests.new import own
from tests.project import Project

Later = Callable[..., Path]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wheel of the library as it is now. Shared."""
    return own.wheel(tmp_path_factory)


@pytest.fixture(scope="session")
def made(wheel: Path) -> Template:
    """Return the template of that wheel."""
    return template.of_wheel(wheel)


@pytest.fixture
def later(wheel: Path, tmp_path: Path) -> Later:
    """Return what makes the wheel of a later version, whose template differs in some files."""

    def make(version: str, **edits: tuple[str, str]) -> Path:
        path = tmp_path / f"perenne-{version}-py3-none-any.whl"
        old = template.of_wheel(wheel).version
        with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(path, "w") as target:
            for name in source.namelist():
                content = source.read(name)
                for file, (before, after) in edits.items():
                    if name == f"{template.FOLDER}{file}{template.SUFFIX}":
                        assert before.encode() in content, before
                        content = content.replace(before.encode(), after.encode())
                if name.endswith(".dist-info/METADATA"):
                    content = content.replace(
                        f"\nVersion: {old}\n".encode(), f"\nVersion: {version}\n".encode()
                    )
                target.writestr(name, content)
        return path

    return make


@pytest.fixture
def workplace(tmp_path: Path) -> Project:
    """Return a folder in which somebody works, with nothing in it."""
    (tmp_path / "work").mkdir()
    return Project(tmp_path / "work")


@pytest.fixture
def mine(workplace: Project, wheel: Path) -> Project:
    """Return a project that was begun there, without a case."""
    workplace.run(f"perenne new mine --wheel {wheel}")
    return Project(workplace.path / "mine")
