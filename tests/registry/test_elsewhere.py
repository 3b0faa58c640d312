"""A released model is had from anywhere by DVC's own commands: what the tags and `dvc.yaml` say is enough."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests import tiny
from tests.conftest import once
from tests.project import ROOT, Project

MODEL = "data/model/released.skops"
STORE = "perenne-storage"


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with two released cases, pushed: its origin and its storage are beside it."""
    return Project(once(tmp_path_factory, "elsewhere", make) / "project")


def make(folder: Path) -> None:
    """Two models of one case, one of another; the newest of the first is not in prod."""
    project = tiny.project(folder / "project")
    kept = project.read("dvc.yaml")
    project.write("dvc.yaml", stages(kept))
    project.run("git init -q --bare -b main ../origin.git && git remote add origin ../origin.git")
    for tag, case in (("v1.0.0", "tiny"), ("v1.1.0", "tiny"), ("v1.0.0", "other")):
        project.edit("^case: .*", f"case: {case}")
        project.write(tiny.INPUT, f"{case} {tag}\n")
        project.repro()
        project.commit(f"{case} {tag}")
        project.run(f"git tag -a -m x {case}@{tag}")
        if tag == "v1.0.0":
            project.run(f"git tag -a -m x '{case}#prod#1'")
    project.run("dvc push -q -T -a && git push -q origin main --tags")


def stages(text: str) -> str:
    """Return the project's dvc.yaml with stages that take a second, and everything else as it is."""
    rest = text[text.index("\nplots:") :], text[text.index("\nartifacts:") : text.index("\nplots:")]
    command = f"mkdir -p data/model && cp {tiny.INPUT} {MODEL} && echo '${{case}}'"
    return f"stages:\n  train:\n    cmd: {command}\n    deps: [{tiny.INPUT}]\n    outs: [{MODEL}]\n{rest[1]}"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("tiny", "tiny v1.1.0"),
        ("tiny --stage prod", "tiny v1.0.0"),
        ("tiny --rev v1.0.0", "tiny v1.0.0"),
        ("other --stage prod", "other v1.0.0"),
    ],
)
def test_version_is_had_by_its_case_and_stage(
    origin: Project, tmp_path: Path, asked: str, found: str
) -> None:
    """From an empty folder, by the URL of the repository alone."""
    url = f"file://{origin.path.parent}/origin.git"
    away = Project(origin.path.parent / f"away-{tmp_path.name}")
    away.path.mkdir()
    away.run(f"dvc artifacts get -q {url} {asked} -o model")
    assert away.read("model") == f"{found}\n"


def test_dvc_shows_gets_and_imports_it(origin: Project) -> None:
    """`dvc.api.artifacts_show`, `dvc get` and `dvc import`, and an update of what was imported."""
    url = f"file://{origin.path.parent}/origin.git"
    away = Project(origin.path.parent / "importer")
    away.path.mkdir()
    away.run("git init -q && dvc init -q")
    show = (
        f"import dvc.api, json; print(json.dumps(dvc.api.artifacts_show('tiny', stage='prod', repo='{url}')))"
    )
    shown = json.loads(away.out(f'python -c "{show}"'))
    commit = origin.out("git rev-parse 'tiny#prod#1^{commit}'").strip()
    assert shown == {"rev": commit, "path": MODEL}
    away.run(f"dvc get -q {url} {MODEL} --rev {commit} -o got")
    away.run(f"dvc import -q {url} {MODEL} --rev tiny@v1.1.0 -o imported")
    assert (away.read("got"), away.read("imported")) == ("tiny v1.0.0\n", "tiny v1.1.0\n")
    away.run("rm -rf imported .dvc/cache && dvc pull -q imported.dvc")
    assert away.read("imported") == "tiny v1.1.0\n"


def test_clone_elsewhere_pulls(origin: Project) -> None:
    """The address of the default remote does not depend on where the clone is."""
    there = origin.path.parent / "a" / "deep" / "folder"
    origin.run(f"git clone -q ../origin.git {there}")
    origin.run(f"cd {there} && dvc pull -q")
    assert (there / MODEL).read_bytes() == (origin.path / MODEL).read_bytes()
    md5 = hashlib.md5((there / MODEL).read_bytes(), usedforsecurity=False).hexdigest()
    assert (origin.path.parent / "home" / STORE / "files/md5" / md5[:2] / md5[2:]).exists()
    assert STORE in (ROOT / ".dvc/config").read_text(encoding="utf-8")
