"""A model of several classes, from its release to a batch of the log: in the real service and in batch."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from perenne.cases.files import Files
from perenne.common import batches, git, model, model_file, names, strict_yaml
from perenne.common.errors import PerenneError
from perenne.pipeline import ingest
from perenne.registry import golden, publish, tags
from perenne.serving.answers import predictions
from perenne.serving.rollout import deploy
from tests import classes
from tests.conftest import Enter, once
from tests.project import Project, clone
from tests.serving.running import PATIENCE, Running, serving
from tests.serving.versions import sha256

CASE = "crops"
CONTRACT = classes.contract()
MONTHS = classes.MONTHS[:4]
PARAMS = """
case: crops
ingest: {source: files, glob: "*.csv", through: 2021-04}
validate: {max_quarantined_share: 0.1}
split: {as_of: 2021-04, window: 3, holdout: 1}
train:
  estimator: sklearn.ensemble.HistGradientBoostingClassifier
  params: {max_iter: 20}
  seed: 0
"""
ROW = {"rain": 0.5, "height": -0.25, "soil": "clay"}


def make_released(folder: Path) -> None:
    """Make a project with two versions of one model: v1.0.0 in prod, and v1.1.0 in shadow."""
    made = clone(folder / "farm")
    sections = re.findall(
        r"(?ms)^(?:evaluate|drift|gate|review|serve|loop):.*?(?=^\S|\Z)", made.read("params.yaml")
    )
    made.write("params.yaml", PARAMS + "".join(sections))
    made.write(f"data/cases/{CASE}/contract.yaml", classes.CONTRACT)
    made.run(f"rm -rf data/incoming/* data/raw && mkdir data/incoming/{CASE}")
    rows = pd.concat([classes.fields(month, 0, 300) for month in MONTHS])
    rows.to_csv(made.path / f"data/incoming/{CASE}/fields.csv", index=False)
    made.run(f"dvc add -q data/incoming/{CASE}/fields.csv")
    made.repro("ingest validate split train refit")
    made.commit("crops")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.path)
        for version, stage in (("v1.0.0", "prod"), ("v1.1.0", "shadow")):
            register(version, golden.record(CASE))
            registry = tags.read(CASE)
            released = publish.assigned(registry, stage, registry.registered[version].commit, "a test")
            publish.publish([released], push=False)
            git.git("commit", "-q", "--allow-empty", "-m", "the same again")


def register(version: str, scores: dict[int, Any]) -> None:
    """Tag the commit as a version."""
    proof = strict_yaml.dumps({"released": {"sha256": sha256()}, "golden": scores})
    publish.publish(
        [publish.Tag(f"{CASE}@{version}", git.commit("HEAD"), f"{version}\n\n---\n{proof}")], push=False
    )


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the released project. Shared: copy it to change it."""
    return Project(once(tmp_path_factory, "farm", make_released) / "farm")


@pytest.fixture(scope="module")
def farm(released: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a copy of it with its service. A module shares it."""
    with serving(released.copy(tmp_path_factory.mktemp("served") / "farm")) as running:
        yield running


def others() -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Return rows of a later month, and as a caller sends them."""
    rows = classes.fields("2021-05", 1, 200)
    sent = batches.to_table(rows, batches.schema(CONTRACT)).drop(["crop"]).to_pylist()
    return rows, json.loads(json.dumps(sent, default=lambda time: time.isoformat()))


def chances(folder: Path, rows: pd.DataFrame) -> list[list[float]]:
    """Return what scikit-learn says of rows."""
    pipeline, _ = model_file.load(folder / names.RELEASED, folder / names.RELEASED_CARD)
    found: list[list[float]] = pipeline.predict_proba(model.inputs(rows, CONTRACT)).tolist()
    return found


def test_answer_is_a_distribution(farm: Running) -> None:
    """Bit for bit scikit-learn's, by the contract's names, with the most probable class and its score."""
    rows, sent = others()
    expected = chances(farm.project.path, rows)
    answers = farm.predict(*sent)["predictions"]
    assert [list(one) for one in answers] == [["id", "class", "score", "scores"]] * len(rows)
    assert [one["scores"] for one in answers] == [
        dict(zip(classes.CROPS, row, strict=True)) for row in expected
    ]
    assert [one["class"] for one in answers] == [classes.CROPS[row.index(max(row))] for row in expected]
    assert [one["score"] for one in answers] == [max(row) for row in expected]
    assert {one["class"] for one in answers} == set(classes.CROPS)
    unseen = farm.predict(ROW)["predictions"][0]
    assert "unseen" not in unseen


def test_docs_name_the_classes(farm: Running) -> None:
    """The contract's own; and the answer is what they say."""
    schemas = farm.get("/openapi.json")["components"]["schemas"]
    assert schemas["Prediction"]["properties"]["class"]["enum"] == ["wheat", "maize", "rye"]
    assert list(schemas["Scores"]["properties"]) == schemas["Scores"]["required"] == ["wheat", "maize", "rye"]
    assert schemas["Outcome"]["properties"]["value"]["enum"] == ["wheat", "maize", "rye"]
    predictions(CONTRACT.classes).model_validate(farm.predict(ROW), by_alias=True)


def test_metrics_count_each_class(farm: Running) -> None:
    """All of them from the start; and the histogram of scores has the probability of the predicted one."""
    _, sent = others()

    def counted() -> list[float]:
        return [farm.metric(f'perenne_predicted_total{{class="{crop}"}}') for crop in classes.CROPS]

    before, rows = np.array(counted()), farm.metric("perenne_score_count")
    low = farm.metric('perenne_score_bucket{le="0.3"}')
    answers = [one["class"] for one in farm.predict(*sent)["predictions"]]
    assert (counted() - before).tolist() == [answers.count(crop) for crop in classes.CROPS]
    assert farm.metric("perenne_score_count") == rows + len(sent)
    assert farm.metric('perenne_score_bucket{le="0.3"}') == low  # the greatest of three is a third at least


def logged(running: Running, query: str, name: str) -> list[tuple[Any, ...]]:
    """Return what the log has of an id."""
    with closing(sqlite3.connect(running.project.path.parent / "log.sqlite")) as log:
        return log.execute(query, [name]).fetchall()


def test_log_has_the_distribution(farm: Running) -> None:
    """Of the version that answered, and of the shadow."""
    one = farm.predict(ROW)["predictions"][0]
    query = "select version, score, scores from predictions where id = ? order by stage"
    until = time.monotonic() + PATIENCE
    while len(rows := logged(farm, query, one["id"])) < 2:  # a shadow is later
        assert time.monotonic() < until
    assert [row[0] for row in rows] == ["v1.0.0", "v1.1.0"]
    assert [(score, json.loads(scores)) for _, score, scores in rows] == [(one["score"], one["scores"])] * 2


def test_label_is_a_class(farm: Running) -> None:
    """As the contract spells it; another value is refused by one line that names the classes."""
    name = farm.predict(ROW)["predictions"][0]["id"]
    done = farm.client.post("/v1/labels", json={"labels": [{"id": name, "value": " rye "}]})
    assert done.json() == {"stored": 1, "unknown": [], "superseded": []}
    assert logged(farm, "select value, class from labels where id = ?", name) == [(None, "rye")]
    refused = farm.client.post("/v1/labels", json={"labels": [{"id": name, "value": "oats"}]})
    assert refused.status_code == 422
    assert refused.json()["detail"] == "row 0, field value: found 'oats', must be 'wheat', 'maize' or 'rye'"


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_batch_has_the_numbers_of_the_service(farm: Running, tmp_path: Path, ending: str) -> None:
    """Bit for bit, in a column for each class. Logged, its labels come back as a batch that is ingested."""
    rows, sent = others()
    sent = [one | {"id": one["id"] + 1_000 * len(ending)} for one in sent]  # others than another test logs
    rows["id"] += 1_000 * len(ending)
    rows.drop(columns="crop").to_csv(tmp_path / "rows.csv", index=False)
    out, log = tmp_path / f"scores.{ending}", f"sqlite:///{farm.project.path.parent}/log.sqlite"
    farm.project.run(f"perenne predict {tmp_path}/rows.csv --out {out} --log --log-url {log}")
    scores = (
        pq.read_table(out).to_pandas()
        if ending == "parquet"
        else pd.read_csv(out, float_precision="round_trip")
    )
    each = [f"score: {crop}" for crop in classes.CROPS]
    assert list(scores)[2:-3] == ["prediction_id", "class", "score", *each]
    answers = farm.predict(*sent)["predictions"]
    assert scores[each].to_numpy().tolist() == [[*one["scores"].values()] for one in answers]
    assert scores["class"].tolist() == [one["class"] for one in answers]
    assert scores["score"].tolist() == [one["score"] for one in answers]
    given = [
        {"id": name, "value": crop} for name, crop in zip(scores["prediction_id"], rows["crop"], strict=True)
    ]
    assert farm.client.post("/v1/labels", json={"labels": given}).json()["stored"] == len(rows)
    exported = tmp_path / "data/incoming"
    farm.project.run(f"perenne export-log --log-url {log} --through 2021-05 --out {exported}")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        source = Files(source="files", through="2021-05", glob="*")
        (_, frame), *_ = ingest.ingest(source, CONTRACT)
        read = ingest.table(frame, CONTRACT).to_pandas()
    read = read[read["id"].isin(rows["id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        read, rows.sort_values(["seen", "id"], ignore_index=True), check_dtype=False
    )


def test_deploy_compares_distributions(released: Project, tmp_path: Path, enter: Enter) -> None:
    """Class by class: a version whose tag has others is refused."""
    farm = released.copy(tmp_path / "farm")
    enter(farm)
    tested = deploy(CASE, "v1.0.0", stage="prod", budget_ms=10_000, push=False)
    assert tested.startswith("crops@v1.0.0: 36 golden rows as released, p99 ")
    scores: dict[int, Any] = dict(golden.recorded(tags.read(CASE).find("v1.0.0")))
    assert {len(row) for row in scores.values()} == {3}
    first = [scores[0][1], scores[0][0], scores[0][2]]
    register("v1.2.0", scores | {0: first})
    with pytest.raises(
        PerenneError, match=r"v1\.2\.0: golden row 0: the score is \[.*\] here, but \[.*; it was"
    ):
        deploy(CASE, "v1.2.0", stage="prod", budget_ms=10_000, push=False)
