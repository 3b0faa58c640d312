"""The pipeline as its users meet it: what reruns when, the same bytes everywhere, nothing unseen by DVC."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perenne.common import strict_yaml
from perenne.registry import imports
from tests import tiny
from tests.project import ROOT, Project

DAG: dict[str, Any] = strict_yaml.load(ROOT / "dvc.yaml")
STAGES = list(DAG["stages"])


def sha256(project: Project, *files: str) -> str:
    """Return the checksums of some files."""
    return project.out(f"sha256sum {' '.join(files)}")


def test_second_repro_runs_nothing(project: Project) -> None:
    """What is up to date stays as it is."""
    assert project.repro() == []
    assert project.out("git status --porcelain") == ""


def test_new_batches_leave_the_model_untouched(project: Project) -> None:
    """Batches after `as_of` are brought in, checked and watched, but reach no model: `as_of` retrains."""
    before = sha256(project, "data/model/*", "data/reports/metrics.json", "data/raw/2019Q4.parquet")
    project.edit("through: 2020Q4", "through: 2021Q2")
    assert project.repro() == ["ingest", "validate", "split", "drift"]
    assert sha256(project, "data/model/*", "data/reports/metrics.json", "data/raw/2019Q4.parquet") == before
    assert (project.path / "data/raw/2021Q2.parquet").exists()


def test_moving_as_of_retrains(project: Project) -> None:
    """Retraining is a one-line Git diff: `as_of` moves."""
    before = project.read("data/model/model.json")
    project.edit("as_of: 2019Q4", "as_of: 2020Q2")
    assert project.repro() == ["split", "train", "refit", "evaluate", "drift"]
    assert project.read("data/model/model.json") != before
    assert project.out("git diff --stat -- params.yaml").strip().endswith("1 insertion(+), 1 deletion(-)")


def test_hyperparameters_rerun_only_from_train(project: Project) -> None:
    """A change of hyperparameters leaves the data alone, and changing it back costs nothing."""
    project.edit(r"learning_rate: [0-9.]+", "learning_rate: 0.3")
    assert project.repro() == ["train", "refit", "evaluate", "drift"]
    project.run("git checkout -q params.yaml")
    assert project.repro() == []
    assert project.out("git status --porcelain") == ""


@pytest.mark.minutes
@pytest.mark.parametrize(
    "machine",
    [
        {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"},
        # What numpy before 2.4 calls the vector widths, and what it calls them since; others are passed over.
        {"NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_ICL", "LC_ALL": "C"},
        {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR", "OPENBLAS_CORETYPE": "Haswell"},
    ],
    ids=["one thread", "two threads, another hash seed and time zone", "no AVX512", "no AVX2 either"],
)
def test_fresh_clone_gives_the_same_bytes(small: Project, tmp_path: Path, machine: dict[str, str]) -> None:
    """In a fresh clone, on another machine, a forced run leaves nothing for Git to see."""
    small.run(f"git clone -q . {tmp_path / 'clone'}")
    fresh = Project(tmp_path / "clone")
    assert fresh.repro("--force", **machine) == STAGES
    assert fresh.out("git status --porcelain") == ""


@pytest.mark.parametrize("setting", ["core.autocrlf=true", "core.eol=crlf", "core.autocrlf=input"])
def test_line_ends_are_the_same_on_every_machine(project: Project, tmp_path: Path, setting: str) -> None:
    """Whatever Git would make of them there: to DVC nothing is modified, in cases of one's own neither."""
    tiny.write_case(project)
    project.write("data/incoming/tiny/windows.csv", "id,seen\r\n1,2021-01-01\r\n")
    project.commit("another case")
    clone = tmp_path / "clone"
    project.run(f"git clone -q -c {setting} . {clone} && cp -r .dvc/cache {clone}/.dvc/")
    there = Project(clone)
    there.run("dvc checkout -q")
    assert there.out("dvc status") == "Data and pipelines are up to date.\n"
    for name in project.out("git ls-files").splitlines():
        assert (clone / name).read_bytes() == (project.path / name).read_bytes(), name


def test_failing_stage_leaves_nothing_half_written(project: Project) -> None:
    """A stage that stops on the last of many batches has written none of them."""
    project.edit("  law: 2021Q1", "  law: 2021Q9")
    failed = project.run("dvc repro", status=None)
    assert failed.returncode != 0
    assert "error: params.yaml: ingest.law: '2021Q9' is not a quarter; write it like 2021Q3" in failed.stderr
    assert not list(project.path.glob("data/raw/*")), "DVC removes what a stage is about to write"
    assert not list(project.path.glob("data/**/.*.part"))


def test_dag_is_the_layout() -> None:
    """Stage X runs `python -m stages.X`, and every file in `stages/` is a stage."""
    assert all(stage["cmd"] == f"python -m stages.{name}" for name, stage in DAG["stages"].items())
    files = {p.stem for p in (ROOT / "stages").glob("*.py")} - {"__init__"}
    assert files == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_every_module_that_a_stage_imports_is_a_dep(stage: str) -> None:
    """DVC watches all the code of ours that a stage runs, however far down, and nothing that it does not."""
    declared = {dep for dep in DAG["stages"][stage]["deps"] if dep.endswith(".py")}
    assert declared == imported(f"stages/{stage}.py")


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_watches_the_environment_and_the_contract(stage: str) -> None:
    """A new version of a library, or another contract, is another result."""
    assert {"requirements.txt", "data/cases/${case}/contract.yaml"} <= set(DAG["stages"][stage]["deps"])


def imported(file: str) -> set[str]:
    """Return the file and all of our files that it imports, directly or not, packages included."""
    return imports.run_by(ROOT, [f"python {file}"])


def test_the_walk_over_imports_sees_an_indirect_one() -> None:
    """The test above can fail: `split` uses the YAML reader only through the params."""
    assert "stages/perenne/common/strict_yaml.py" in imported("stages/split.py")
    assert "stages/perenne/common/model.py" not in imported("stages/split.py")


def test_undeclared_params_cannot_be_read(project: Project) -> None:
    """A stage that reads a section which `dvc.yaml` does not declare for it stops."""
    project.edit(r"p\.split, contract", "p.train, contract", file="stages/perenne/pipeline/split.py")
    failed = project.run("dvc repro", status=None)
    assert "dvc.yaml: the stage reads the params section 'train' but does not declare it" in failed.stderr
