"""A model whose features look back, from `dvc repro` to its release, in the service and in batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from perenne.common import batches, model, model_file, names
from tests import shop
from tests.conftest import once
from tests.project import Project
from tests.serving.running import serving

CONTRACT = shop.contract()
JULY = "2021-07"


def make_released(folder: Path) -> None:
    """Make the project, let the gate judge its model, and release it."""
    folder.mkdir()
    project = shop.project(folder / "ada")
    project.run("git init -q --bare -b main ../origin.git && git remote add origin ../origin.git")
    project.run("dvc remote add -q --default store ../store")
    project.repro()
    project.commit("shop")
    project.run("dvc push -q && git push -q -u origin main")
    project.write("../said.txt", project.out("perenne gate --push && perenne release --push"))


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the released project. Shared, by tests that leave it as it is."""
    return Project(once(tmp_path_factory, "shop", make_released) / "ada")


def later(released: Project, to: Path) -> tuple[Project, pd.DataFrame]:
    """Return a copy in which orders of July have arrived too, and these as the pipeline has them."""
    project = released.copy(to / "ada")
    released.run(f"cp -r ../origin.git ../store {to}")
    rows = shop.orders((JULY,), seed=1)
    rows.to_csv(project.path / f"data/incoming/{shop.NAME}/{JULY}.csv", index=False)
    project.run(f"dvc add -q data/incoming/{shop.NAME}/{JULY}.csv")
    project.edit("through: 2021-06", f"through: {JULY}")
    return project, rows


def scores(project: Project, rows: pd.DataFrame) -> list[float]:
    """Return what scikit-learn says of clean rows."""
    pipeline, _ = model_file.load(project.path / names.RELEASED, project.path / names.RELEASED_CARD)
    found: list[float] = model.predict(pipeline, rows, CONTRACT).tolist()
    return found


def sent(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return orders as a shop sends them: what was delivered, without its outcome."""
    columns = [name for name in CONTRACT.raw if name != CONTRACT.target]
    table = batches.to_table(rows[columns], batches.schema(CONTRACT, columns))
    whole = [{k: v for k, v in row.items() if v is not None} for row in table.to_pylist()]
    found: list[dict[str, Any]] = json.loads(json.dumps(whole, default=lambda time: time.isoformat()))
    return found


@pytest.mark.minutes
def test_one_order_has_one_score_everywhere(released: Project, tmp_path: Path) -> None:
    """In the pipeline, in a file and in the service: from the store, and from earlier orders that are sent.

    The batches before stay as they were, to the byte; and the version that is served brings its own history.
    """
    assert "shop: eligible: all rules pass" in released.read("../said.txt")
    project, _ = later(released, tmp_path)
    old = project.out("sha256sum data/clean/2021-0[1-6].parquet")
    assert project.repro("validate") == ["ingest", "validate"]
    assert project.out("sha256sum data/clean/2021-0[1-6].parquet") == old
    clean = batches.read_parquet(project.path / f"data/clean/{JULY}.parquet", nullable=True)
    expected = scores(project, clean)
    assert clean["returned before"].notna().any()

    project.run(f"perenne predict data/incoming/{shop.NAME}/{JULY}.csv --out scores.parquet")
    in_file = pq.read_table(project.path / "scores.parquet").to_pandas()
    keys = ["customer", "ordered"]
    in_file = in_file.astype({"ordered": "datetime64[us]"}).set_index(keys)["score"]
    assert in_file.loc[pd.MultiIndex.from_frame(clean[keys])].tolist() == expected

    first = ~clean["customer"].duplicated()  # of the month: the version knows all that was before
    every = pd.concat([shop.orders(), clean[list(CONTRACT.raw)]])
    with serving(project) as running:
        answers = running.predict(*sent(clean[first]))["predictions"]
        assert [one["score"] for one in answers] == [s for s, one in zip(expected, first, strict=True) if one]
        assert max(one["history"] for one in answers) < JULY
        nobody = running.predict(sent(clean[:1])[0] | {"customer": 10_000})["predictions"]
        assert nobody[0]["history"] is None
        again = sent(clean)
        for row, customer in zip(again, clean["customer"], strict=True):
            mine = every[every["customer"] == customer]
            row["history"] = [
                earlier | {"returned": int(label)}
                for earlier, label in zip(sent(mine), mine["returned"], strict=True)
            ]
            for earlier in row["history"]:
                earlier.pop("colour")
        answers = [one for row in again for one in running.predict(row)["predictions"]]
        assert [one["score"] for one in answers] == expected
        assert running.get("/v1/model")["history"] == "2021-06"
        problem = running.predict({"pay": 1.0, "colour": "red"}, status=422)
        assert problem["errors"][0] == {"row": 0, "field": "ordered", "problem": "missing"}
        row = sent(clean[:1])[0]
        wrong = running.predict(row | {"history": [{"ordered": "2021-01-01", "pay": "much"}]}, status=422)
        assert wrong["detail"] == "row 0, field history.0.pay: found 'much', must be a number"
        schemas = running.get("/openapi.json")["components"]["schemas"]
        assert set(schemas["EarlierRow"]["properties"]) == {"customer", "ordered", "pay", "hours", "returned"}

    project.run("perenne fetch prod --out fetched")
    assert (project.path / "fetched/history.parquet").read_bytes() == (
        released.path / names.HISTORY
    ).read_bytes()
    exported = project.out("perenne export-log --log-url sqlite:///../log.sqlite --out exported")
    assert "exported/predictions-2021-07.parquet" in exported
    assert pq.read_schema(project.path / "exported/predictions-2021-07.parquet").names == list(CONTRACT.raw)
