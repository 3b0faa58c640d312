"""Code of the project, and how it can be wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from perenne.common import code_of, project_code
from perenne.common.errors import PerenneError
from perenne.common.project_code import CodeError
from tests.project import Project

MINE = (
    "from stages.helpers import TWO\n\n\nclass Mine:\n    size = TWO\n\n\ndef broken():\n    return 1 / 0\n"
)
DAG = "stages:\n  train: {{cmd: python -m stages.train, deps: [{deps}]}}\n"


@pytest.fixture(name="folder")
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a module of its own; `stages` is imported from there, and forgotten afterwards."""
    known = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "stages"}
    for name in known:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "__init__.py").write_text("")
    (tmp_path / "stages" / "mine.py").write_text(MINE)
    (tmp_path / "stages" / "helpers.py").write_text("TWO = 2\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == "stages"]:
        del sys.modules[name]


@pytest.mark.usefixtures("folder")
def test_a_class_of_the_project_is_found() -> None:
    """By the module's name and its own."""
    assert project_code.imported("stages.mine.Mine", "train.estimator").size == 2


@pytest.mark.parametrize(
    ("path", "text", "error"),
    [
        (
            "stages.min.Mine",
            MINE,
            "here: 'stages.min.Mine': there is no stages/min.py; write the module, or ",
        ),
        ("stages.mine.Mien", MINE, "has no Mien; did you mean 'Mine'?"),
        ("stages.mine.TWO3", MINE, "has no TWO3; valid: Mine, broken"),
        ("stages.mine.Mine", "def f(:\n", "stages/mine.py:1: SyntaxError: "),
        (
            "stages.mine.Mine",
            "\nimport nothing_like_it\n",
            "stages/mine.py:2: ModuleNotFoundError: No module",
        ),
        ("stages.mine.Mine", "x = 1\ny = 1 / 0\n", "stages/mine.py:2: ZeroDivisionError: division by zero"),
    ],
)
def test_what_cannot_be_imported_is_one_line(folder: Path, path: str, text: str, error: str) -> None:
    """It names the place, and what would do."""
    (folder / "stages" / "mine.py").write_text(text)
    with pytest.raises(PerenneError, match=r"^[^\n]*$") as raised:
        project_code.imported(path, "here")
    assert error in str(raised.value)


@pytest.mark.usefixtures("folder")
def test_what_fails_later_names_the_line_of_the_project() -> None:
    """Not that of the library which called it."""
    project_code.imported("stages.mine.Mine", "here")
    with pytest.raises(ZeroDivisionError) as raised:
        sys.modules["stages.mine"].broken()
    line = MINE.split("\n").index("    return 1 / 0") + 1
    assert str(project_code.failed(raised.value, "x")).startswith(f"stages/mine.py:{line}: ZeroDivisionError")


@pytest.mark.parametrize(
    ("deps", "lacks"),
    [
        ("stages/mine.py, stages/helpers.py", None),
        ("stages", None),
        ("stages/mine.py", "stages/helpers.py"),
        ("stages/helpers.py, stages/min", "stages/mine.py"),
    ],
)
def test_dvc_must_see_what_a_stage_imports(folder: Path, deps: str, lacks: str | None) -> None:
    """Directly or not: a file that is not listed is refused, and the line says what to add."""
    (folder / "dvc.yaml").write_text(DAG.format(deps=deps))
    project_code.imported("stages.mine.Mine", "here")
    if lacks is None:
        project_code.check_deps("train")
    else:
        with pytest.raises(PerenneError, match=f"stages.train.deps: lacks {lacks}, .*add `- {lacks}`"):
            project_code.check_deps("train")


def test_code_must_lie_where_a_version_has_it(folder: Path) -> None:
    """In `stages/`, as a file: a released version has neither a link's other end nor what is beside it."""
    (folder / "dvc.yaml").write_text(DAG.format(deps="stages"))
    (folder / "beside_stages.py").write_text("TWO = 2\n")
    (folder / "stages" / "mine.py").write_text(MINE.replace("stages.helpers", "beside_stages"))
    project_code.imported("stages.mine.Mine", "here")
    try:
        with pytest.raises(PerenneError, match=r"^beside_stages.py: stage train imports it, but only"):
            project_code.check_deps("train")
    finally:
        del sys.modules["beside_stages"]
    project_code.check_deps("train")
    (folder / "stages" / "mine.py").rename(folder / "elsewhere")
    (folder / "stages" / "mine.py").symlink_to(folder / "elsewhere")
    with pytest.raises(PerenneError, match=r"^stages/mine.py: is a link, and a version holds files alone"):
        project_code.check_deps("train")


def test_exit_of_the_projects_code_is_an_error(folder: Path) -> None:
    """It must end neither a stage as if all were well nor the service."""
    (folder / "stages" / "mine.py").write_text("raise SystemExit(0)\n")
    with pytest.raises(CodeError, match=r"^stages/mine.py:1: SystemExit: 0$"):
        project_code.imported("stages.mine.Mine", "here")


def test_a_released_model_keeps_the_code_of_its_commit(folder: Path) -> None:
    """Its class is that of the commit, that of the working tree is the one that is imported afterwards."""
    project = Project(folder)
    project.run("git init -q -b main")
    project.commit("first")
    (folder / "stages" / "mine.py").write_text(MINE.replace("size = TWO", "size = 3"))
    now = project_code.imported("stages.mine.Mine", "here")
    with code_of.commit("HEAD", ["stages.mine.Mine"]):
        then = project_code.imported("stages.mine.Mine", "here")
        broken = project_code.imported("stages.mine.broken", "here")
    assert (now.size, then.size) == (3, 2)
    with pytest.raises(ZeroDivisionError) as raised:
        broken()
    assert str(project_code.failed(raised.value, "x")).startswith("stages/mine.py:9: "), "of its own folder"
    assert project_code.imported("stages.mine.Mine", "here") is now
    assert [name for name in sys.path if "perenne-code" in name] == []
    with code_of.commit("HEAD", []):  # a model without such code needs none
        assert project_code.imported("stages.mine.Mine", "here") is now
