"""The holdout is sealed: nothing that the pipeline writes tells anything of its labels."""

from __future__ import annotations

import json
from pathlib import Path

from tests import tiny
from tests.project import Project

SEALED = "2021-04"  # the month that the holdout of the case is
LATER = "2021-05"  # a month whose labels are known: drift compares them
HOLDOUT = "data/split/holdout.parquet"
REFIT = "data/split/refit.parquet"
RELEASED, CARD = "data/model/released.skops", "data/model/released.json"
# Where the labels themselves are: what came in, the batches of the month, and what has learned from them.
LABELS = {
    *(tiny.INPUT, f"data/raw/{SEALED}.parquet", f"data/clean/{SEALED}.parquet", HOLDOUT),
    *(REFIT, RELEASED, CARD),
}


def flipped(text: str) -> str:
    """Return the CSV with the other label in every row of the month."""
    lines = [line.rpartition(",") for line in text.splitlines()]
    return "\n".join(
        f"{row},{1 - int(won)}" if f",{SEALED}-" in row else f"{row},{won}" for row, _, won in lines
    )


def written(project: Project) -> dict[str, bytes]:
    """Return all files of the project but those of Git and DVC."""
    files = [path for path in project.path.rglob("*") if path.is_file()]
    names = {str(path.relative_to(project.path)): path for path in files}
    return {
        name: path.read_bytes()
        for name, path in names.items()
        if not name.startswith((".git/", ".dvc/")) and "__pycache__" not in name and name != "dvc.lock"
    }


def locked(project: Project) -> set[str]:
    """Return the lines of dvc.lock, each with the stage and the file that it is about."""
    stage, file, lines = "", "", set()
    for line in project.read("dvc.lock").splitlines():
        if line.startswith("  ") and line[2] != " ":
            stage = line
        elif line.strip().startswith("- path: "):
            file = line.strip().removeprefix("- path: ")
        lines.add(f"{stage} {file} {line}")
    return lines


def test_labels_of_the_holdout_change_nothing_but_the_holdout(tmp_path: Path) -> None:
    """With all of them changed, every byte that is not a label itself stays, and no later stage runs."""
    project = tiny.project(tmp_path / "project")
    project.write(tiny.INPUT, tiny.table(*tiny.MONTHS, LATER))
    params = tiny.PARAMS.replace(f"through: {SEALED}", f"through: {LATER}")
    project.write("params.yaml", f"{params}tolerance: {{calibration: 0.05, loss: 0.01, ranking: 0.01}}\n")
    stages = "evaluate refit drift"
    assert set(stages.split()) < set(project.repro(stages))
    before, lock = written(project), locked(project)
    assert {"data/reports/metrics.json", "data/reports/predictions.parquet", HOLDOUT} <= before.keys()
    page = before["data/reports/drift.html"].decode()
    assert "Reference: Model Quality" in page, "the page compares labels"
    project.write(tiny.INPUT, flipped(project.read(tiny.INPUT)))
    ran = project.repro(stages)
    assert ran == ["ingest", "validate", "split", "refit", "drift"], "nothing else reads a label of it"
    after = written(project)
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} == LABELS
    lines = {line.split()[1] for line in locked(project) ^ lock}
    assert lines <= {"data/incoming/tiny", "data/raw", "data/clean", HOLDOUT, REFIT, RELEASED, CARD}
    cards = [json.loads(files[CARD]) for files in (before, after)]
    assert cards[0].pop("sha256") != cards[1].pop("sha256")
    assert cards[0] == cards[1], "the card of the refitted model tells nothing of them either"
