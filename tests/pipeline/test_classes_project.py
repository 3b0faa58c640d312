"""A project whose target has several classes, run by DVC from its files to its figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from perenne.common import model_file
from tests import classes, tiny
from tests.project import Project, clone

PLOTS = {"Reliability", "ROC curve", "Classes", "Permutation importance", "Loss by slice", "Headline figure"}


def project(to: Path) -> Project:
    """Return a project with six months of fields, up to `evaluate`."""
    made = clone(to)
    rows = pd.concat(classes.fields(month, 1, 150) for month in classes.MONTHS[:6])
    own = tiny.PARAMS.replace("case: tiny", "case: fields").replace("2021-04", "2021-06")
    own = own.replace("window: 2", "window: 5").replace("{C: 1.0}", "{max_iter: 20}")
    own = own.replace("linear_model.LogisticRegression", "ensemble.HistGradientBoostingClassifier")
    made.run("rm -rf data/incoming/* data/raw")
    for file in ("data/cases/fields/params.yaml", "params.yaml"):
        made.write(file, own)
    made.write("data/cases/fields/contract.yaml", classes.CONTRACT)
    made.write("data/incoming/fields/fields.csv", rows.to_csv(index=False))
    assert made.repro("evaluate") == ["ingest", "validate", "split", "train", "evaluate"]
    return made


def test_a_project_of_several_classes(tmp_path: Path) -> None:
    """Its figures are scikit-learn's on its predictions, its plots are drawn, its model file is its model."""
    made = project(tmp_path / "project")
    shown = json.loads(made.read("data/reports/metrics.json"))
    table = pd.read_parquet(made.path / "data/reports/predictions.parquet")
    names = sorted(classes.CROPS)  # as scikit-learn orders them
    p = table[[f"prediction: {name}" for name in names]].to_numpy()
    assert shown["log_loss"] == pytest.approx(sk.log_loss(table["crop"], p, labels=names), rel=1e-5)
    taken = np.array(names)[p.argmax(axis=1)]
    assert shown["accuracy"] == pytest.approx(sk.accuracy_score(table["crop"], taken), rel=1e-5)
    auc = sk.roc_auc_score(table["crop"], p, labels=names, multi_class="ovr")
    assert shown["roc_auc"] == pytest.approx(auc, rel=1e-5)
    for name in names:
        came, score = table["crop"] == name, table[f"prediction: {name}"]
        expected = {"roc_auc": sk.roc_auc_score(came, score), "observed_expected": came.sum() / score.sum()}
        assert shown["classes"][name] == pytest.approx(expected, rel=1e-5)
    assert "classes.wheat.roc_auc" in made.out("dvc metrics show --md")
    drawn = made.out("dvc plots show -o drawn && cat drawn/index.html")
    assert {name for name in PLOTS if name in drawn} == PLOTS
    data = (made.path / "data/model/model.skops").read_bytes()
    once = model_file.dumps(model_file.loads(data, "model.skops"))
    assert once == data
    assert model_file.dumps(model_file.loads(once, "model.skops")) == data
