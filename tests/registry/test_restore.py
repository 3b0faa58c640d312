"""Restoring a released model that the remote has lost."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from perenne.common.errors import PerenneError
from perenne.common.names import MODEL
from perenne.registry.restore import restore
from tests.conftest import Enter
from tests.project import Project
from tests.registry.visits import least_reproduced


@pytest.fixture
def lost(tmp_path: Path, enter: Enter) -> Project:
    """Return a project that went on after its release and lost its outputs, as the current folder."""
    project = least_reproduced(tmp_path / "project")
    tag(project, "v1.0.0", f"model:\n  sha256: {sha256(project)}\n")
    lose(project)
    project.edit("sort -r", "sort", "dvc.yaml")
    project.commit("later")
    enter(project)
    return project


def tag(project: Project, version: str, proof: str) -> None:
    """Tag the last commit as a version."""
    project.write("../message", f"tiny {version}\n\n---\n{proof}")
    project.run(f"git tag -a 'tiny@{version}' -F ../message")


def sha256(project: Project) -> str:
    """Return the checksum of the model file."""
    return hashlib.sha256((project.path / MODEL).read_bytes()).hexdigest()


def released(project: Project) -> str:
    """Return the checksum that the first release's tag names."""
    return project.out("git tag -l --format='%(contents)' tiny@v1.0.0").split("sha256: ")[1].split()[0]


def lose(project: Project) -> None:
    """Lose what the stages made: workspace, cache and remote; the input is in the remote alone."""
    md5 = project.out("sed -n 's/^- md5: //p' data/incoming/tiny/visits.csv.dvc").strip()
    project.run("rm -rf .dvc/cache data/model/model.skops data/reports/metrics.json")
    project.run(f"find ../store -type f ! -path '*/{md5[:2]}/{md5[2:]}' -delete")


def objects(project: Project) -> list[str]:
    """Return the files in the cache and in the remote."""
    return sorted(project.out("find .dvc/cache ../store -type f 2>/dev/null; true").split())


def test_lost_model_is_made_again_and_shared(lost: Project) -> None:
    """At the tag, a clone of the repository pulls the very bytes that the tag names, and all else."""
    said = restore("tiny", "v1.0.0", push=True)
    assert said.startswith("tiny@v1.0.0 is restored")
    assert lost.out("git status --porcelain") == ""
    lost.run("git clone -q --branch tiny@v1.0.0 . ../clone")
    clone = Project(lost.path.parent / "clone")
    clone.run("dvc pull -q")
    assert clone.out("dvc status").strip() == "Data and pipelines are up to date."
    assert sha256(clone) == released(lost)
    lost.run("git checkout -q tiny@v1.0.0 && dvc checkout -q")
    assert sha256(lost) == released(lost)


def test_another_refitted_model_is_put_nowhere(lost: Project) -> None:
    """The tag proves both: the one that was judged and the one that was put to use."""
    lost.run("git checkout -q tiny@v1.0.0")
    both = "cp data/model/model.skops data/model/released.skops"
    lost.edit("> data/model/model.skops", f"> data/model/model.skops && {both}", "dvc.yaml")
    lost.edit(r"(    outs: \[data/model/model.skops)\]", r"\1, data/model/released.skops]", "dvc.yaml")
    lost.repro()
    lost.commit("with a refit")
    mine = sha256(lost)
    tag(lost, "v1.1.0", f"model: {{sha256: {mine}}}\nreleased: {{sha256: {mine}}}\n")
    assert restore("tiny", "v1.1.0", push=False).startswith("tiny@v1.1.0 is restored")
    lost.run("git commit -q --allow-empty -m next")
    tag(lost, "v1.1.1", f"model: {{sha256: {mine}}}\nreleased: {{sha256: {'f' * 64}}}\n")
    with pytest.raises(PerenneError, match=f"its released.skops has the sha256 {'f' * 64}, but its commit"):
        restore("tiny", "v1.1.1", push=False)


def test_another_model_is_put_nowhere(lost: Project) -> None:
    """The error has both hashes; cache and remote stay as they were."""
    lost.run("git checkout -q tiny@v1.0.0")
    tag(lost, "v1.0.1", f"model: {{sha256: {'f' * 64}}}\n")
    before = objects(lost)
    with pytest.raises(
        PerenneError, match=f"tiny@v1.0.1.* sha256 {'f' * 64}, but its commit makes one with "
    ):
        restore("tiny", "1.0.1", push=True)
    assert objects(lost) == before


def test_another_result_is_put_nowhere(lost: Project) -> None:
    """A version is all of its outputs: the model may be right, and its metrics forged."""
    lost.run("git checkout -q tiny@v1.0.0")
    lost.edit(r"(path: data/reports/metrics.json\n.*\n *md5: )[0-9a-f]+", rf"\g<1>{'f' * 32}", "dvc.lock")
    lost.commit("forged")
    tag(lost, "v1.0.2", f"model: {{sha256: {released(lost)}}}\n")
    before = objects(lost)
    with pytest.raises(PerenneError) as raised:
        restore("tiny", "v1.0.2", push=True)
    assert str(raised.value).split("\n") == [
        "tiny@v1.0.2: nothing was restored",
        "       evaluate: data/reports/metrics.json is not what the commit reproduces",
    ]
    assert objects(lost) == before


@pytest.mark.parametrize("proof", ["as_of: 2021-04\n", "model: 5\n", "model: {sha256: 5}\n"])
def test_tag_without_the_models_hash_restores_nothing(lost: Project, proof: str) -> None:
    """A missing hash is never a pass; no stage is run."""
    tag(lost, "v2.0.0", proof)
    with pytest.raises(PerenneError, match=r"^tiny@v2\.0\.0: the tag holds no sha256 of the model"):
        restore("tiny", "v2.0.0", push=False)


def test_remote_to_push_to_must_be_there(lost: Project) -> None:
    """The error comes before the work, not after."""
    lost.run("dvc remote default -q --unset")
    with pytest.raises(PerenneError, match="no default remote to push to; dvc remote add --default"):
        restore("tiny", "v1.0.0", push=True)
