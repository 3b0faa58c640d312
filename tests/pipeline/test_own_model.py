"""A project with a model of its own, LightGBM inside: from its files to a release and to its scores."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from perenne.registry import change
from tests import tiny
from tests.conftest import Enter
from tests.project import Project, clone
from tests.serving.running import Running, serving

MODELS = '''"""Models of the project."""

import numpy as np
from lightgbm import LGBMClassifier
from sklearn.base import BaseEstimator, ClassifierMixin

from stages.shrinking import towards_the_mean


class Shrunk(ClassifierMixin, BaseEstimator):
    """Boosted trees whose probabilities are pulled towards the mean."""

    def __init__(self, share=0.9, rounds=40, random_state=None):
        self.share, self.rounds, self.random_state = share, rounds, random_state

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.mean_ = float(np.mean(y))
        trees = LGBMClassifier(
            n_estimators=self.rounds, num_leaves=4, n_jobs=1, random_state=self.random_state, verbosity=-1
        )
        self.trees_ = trees.fit(X, y)
        return self

    def predict_proba(self, X):
        if X.max() > 3000:
            raise SystemExit("a secret")
        if X.max() > 300:
            return np.full((len(X), 2), np.nan)
        score = towards_the_mean(self.trees_.predict_proba(X)[:, 1], self.mean_, self.share)
        return np.column_stack([1 - score, score])

    def predict(self, X):
        return self.classes_[(self.predict_proba(X)[:, 1] > 0.5).astype(int)]
'''
SHRINKING = '''"""Pull scores towards their mean."""


def towards_the_mean(scores, mean, share):
    return share * scores + (1 - share) * mean
'''
STAGES = ("train", "refit", "evaluate", "drift")
MONTHS = [f"2021-{month:02d}" for month in range(1, 9)]


def visits(months: list[str], seed: int = 0, rows: int = 400) -> pd.DataFrame:
    """Visits of some months; larger ones win more often."""
    rng = np.random.default_rng(seed)
    n = rows * len(months)
    size = rng.uniform(0, 100, n).round(1)
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "seen": [f"{month}-{day % 28 + 1:02d}" for month in months for day in range(rows)],
            "size": np.where(rng.random(n) < 0.05, np.nan, size),
            "colour": rng.choice(["red", "blue"], n),
            "adult": rng.choice([True, False], n),
            "member": "2020-12-31",
            "won": (rng.random(n) < np.where(size > 50, 0.9, 0.1)).astype(int),
        }
    )


def project(to: Path) -> Project:
    """Return a project with code of its own that no stage lists yet."""
    made = clone(to)
    sections = re.findall(
        r"(?ms)^(?:gate|review|serve|loop|tolerance):.*?(?=^\S|\Z)", made.read("params.yaml")
    )
    own = (
        tiny.PARAMS.replace("2021-04", MONTHS[-1]).replace("window: 2", "window: 6").replace("'*'", "'*.csv'")
    )
    own = own.replace("sklearn.linear_model.LogisticRegression", "stages.models.Shrunk")
    own = own.replace("{C: 1.0}", "{share: 0.99}")
    made.write("params.yaml", own + "".join(sections))
    made.edit("calibration: 0.05", "calibration: 0.3")  # of few rows
    made.write("data/cases/tiny/contract.yaml", tiny.CONTRACT)
    made.run("rm -rf data/incoming/* data/raw && mkdir -p data/incoming/tiny")
    visits(MONTHS).to_csv(made.path / tiny.INPUT, index=False)
    made.run(f"dvc add -q {tiny.INPUT}")
    made.write("stages/models.py", MODELS)
    made.write("stages/shrinking.py", SHRINKING)
    return made


def scores(made: Project, file: str) -> list[float]:
    """Return the scores in a file that `perenne predict` wrote, to the last bit."""
    found: list[float] = pd.read_csv(made.path / file, float_precision="round_trip")["score"].tolist()
    return found


def fails(running: Running, row: dict[str, Any]) -> list[str]:
    """Send rows for which the code fails, beside a good one; return what the service logs of it."""
    for member in ("1000-01-01", "1900-01-01"):
        bad = running.predict(row, row | {"member": member}, status=500)
        assert bad == {"detail": "row 1: code of this version fails; the service's own log has the place"}
        running.predict(row)
    assert running.process.poll() is None
    running.process.terminate()
    _, log = running.process.communicate(timeout=30)
    assert "secret" not in log
    assert "Traceback" not in log
    return [line.split(maxsplit=2)[2] for line in log.splitlines() if " ERROR " in line]


def declare(made: Project, file: str) -> None:
    """List a file in the stages that run the project's model, as the error says."""
    for stage in STAGES:
        made.edit(
            rf"(^  {stage}:\n(?:.*\n)*?      - stages/{stage}\.py\n)", rf"\1      - {file}\n", "dvc.yaml"
        )


@pytest.mark.minutes
def test_a_project_with_a_model_of_its_own(tmp_path: Path, enter: Enter) -> None:
    """Its code is a dep, its runs are the same bytes, and gate, release, batch and service take its model."""
    made = project(tmp_path / "work")
    for file in ("stages/models.py", "stages/shrinking.py"):
        said = made.run("dvc repro -q", status=None)
        assert (
            f"dvc.yaml: stages.train.deps: lacks {file}, which the stage imports" in said.stdout + said.stderr
        )
        assert not (made.path / "data/model/model.skops").exists()
        declare(made, file)
    made.repro()
    made.commit("a model of our own")
    assert json.loads(made.read("data/model/model.json"))["trusted"] == ["stages.models.Shrunk"]
    assert "is proven: it makes dvc.lock byte for byte" in made.out("perenne verify")
    assert "eligible: all rules pass" in made.out("perenne gate")
    assert "released tiny@v1.0.0, tiny#prod#1" in made.out("perenne release")

    new = visits(["2021-09"], seed=1, rows=40).drop(columns="won")
    new.to_csv(made.path / "new.csv", index=False)
    made.run("perenne predict new.csv --out scores.csv")
    batch = scores(made, "scores.csv")
    assert len(set(batch)) > 5
    rows = json.loads(new.to_json(orient="records"))
    with serving(made) as running:
        together = [one["score"] for one in running.predict(*rows)["predictions"]]
        alone = [running.predict(row)["predictions"][0]["score"] for row in rows[:5]]
        errors = fails(running, rows[0])
    assert errors == [
        "ERROR POST /v1/predict: row 1: SystemExit at stages/models.py:27",
        "ERROR POST /v1/predict: row 1: the model: predict_proba does not give a number for each row",
    ]
    assert together == batch
    assert alone == batch[:5]
    bad = new.assign(member=["2020-12-31"] * 38 + ["1000-01-01", "2020-12-31"])
    bad.to_csv(made.path / "bad.csv", index=False)
    failed = made.run("perenne predict bad.csv --out bad.scores.csv", status=1)
    assert failed.stderr == "error: bad.csv: row 39: stages/models.py:27: SystemExit: a secret\n"
    assert not (made.path / "bad.scores.csv").exists()
    (made.path / "bad.csv").unlink()
    made.run("git checkout -q -- params.yaml")

    # Its bytes are lost, and made again from the tag.
    released = made.path / "data/model/released.skops"
    md5 = hashlib.md5(released.read_bytes()).hexdigest()  # noqa: S324 -- as DVC names it
    released.unlink()
    (made.path / f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}").unlink()
    made.run("perenne restore tiny@v1.0.0")

    # A change of its code is a change of the recipe, so it must be better, not only fresher.
    made.edit("share \\* scores", "0.9 * share * scores", "stages/shrinking.py")
    made.repro("refit")
    made.commit("shrink more")
    # The released version is still scored by its own code.
    made.run("perenne predict new.csv --out again.csv")
    assert scores(made, "again.csv") == batch
    enter(made)
    assert change.between("tiny@v1.0.0", None, "tiny") == ("minor", ("stages/shrinking.py changed",))
