"""A project whose model and features are its own, from files to two versions: the same numbers everywhere."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from perenne.common import batches
from tests import shop
from tests.pipeline import test_own_model as own
from tests.project import Project
from tests.serving.running import Running, serving
from tests.serving.test_looking_back import JULY, sent
from tests.serving.test_takeover import Clients, logged

FEATURES = '''"""Features of the project."""

import pandas as pd


def make(rows: pd.DataFrame) -> pd.Series:
    """Return what was paid, by day of the month; a part of it for blue."""
    return (rows["pay"] / rows["ordered"].dt.day).where(rows["colour"] == "red", rows["pay"] / 2)
'''
CUSTOMERS = 500
DERIVED = """derived:
  worth: {code: stages.features.make}
  pay before: {lag: pay}
"""
SCORES = f"""
import json
from perenne.common import batches, model, model_file, names
from perenne.common.contract import read_contract
pipeline, _ = model_file.load(names.RELEASED, names.RELEASED_CARD)
rows = batches.read_parquet("data/clean/{JULY}.parquet", nullable=True)
print(json.dumps(model.predict(pipeline, rows, read_contract("{shop.NAME}")).tolist()))
"""


def project(to: Path) -> Project:
    """Return the shop with code of its own in every stage that runs it, reproduced, committed and pushed."""
    made = shop.project(to / "ada", shop.orders(customers=CUSTOMERS))
    made.edit(r"(?s)^derived:.*", DERIVED, f"data/cases/{shop.NAME}/contract.yaml")
    made.edit("sklearn.ensemble.HistGradientBoostingClassifier", "stages.models.Shrunk")
    made.edit(r"^  params: .*", "  params: {share: 0.2, rounds: 5}\n  trusted: [stages.models.Shrunk]")
    code = {"models": own.MODELS, "shrinking": own.SHRINKING, "features": FEATURES}
    for name, text in code.items():
        made.write(f"stages/{name}.py", text)
    for stage, of in (("validate", ("features",)), *((s, ("models", "shrinking")) for s in own.STAGES[:3])):
        listed = "".join(f"      - stages/{name}.py\n" for name in of)
        made.edit(rf"(^  {stage}:\n(?:.*\n)*?      - stages/{stage}\.py\n)", rf"\1{listed}", "dvc.yaml")
    made.run("mkdir -p ../origin.git && git init -q --bare -b main ../origin.git")
    made.run("git remote add origin ../origin.git && dvc remote add -q --default store ../store")
    made.repro()
    made.commit("a model and features of our own")
    made.run("dvc push -q && git push -q -u origin main")
    return made


def arrived(made: Project) -> pd.DataFrame:
    """Let orders of July arrive, and return them as they are delivered."""
    rows = shop.orders((JULY,), CUSTOMERS, seed=1)
    file = f"data/incoming/{shop.NAME}/{JULY}.csv"
    rows.to_csv(made.path / file, index=False)
    made.run(f"dvc add -q {file}")
    made.edit("through: 2021-06", f"through: {JULY}")
    made.repro()
    made.commit("July")
    return batches.read_parquet(made.path / f"data/clean/{JULY}.parquet", nullable=True)


def same_everywhere(made: Project, running: Running, rows: pd.DataFrame, version: str) -> list[float]:
    """Return the scores of July by the pipeline's own model; a file's and the service's are the same."""
    expected: list[float] = json.loads(made.out(f"python -c '{SCORES}'"))
    made.run(f"perenne predict data/incoming/{shop.NAME}/{JULY}.csv --out ../{version}.parquet")
    in_file = pq.read_table(made.path.parent / f"{version}.parquet").to_pandas()
    keys = ["customer", "ordered"]
    by_order = in_file.astype({"ordered": "datetime64[us]"}).set_index(keys)["score"]
    assert by_order.loc[pd.MultiIndex.from_frame(rows[keys])].tolist() == expected
    answer = running.predict(*sent(rows))
    assert answer["model_version"] == version
    assert [one["score"] for one in answer["predictions"]] == expected
    assert len(set(expected)) > 5
    return expected


@pytest.mark.minutes
def test_two_versions_of_own_code(tmp_path: Path, shared: str) -> None:
    """Run twice it is the same bytes; a second version is reviewed, released and swapped in under load."""
    ada = project(tmp_path)
    rows = arrived(ada)
    ada.run("dvc push -q && git push -q")
    assert "is proven: it makes dvc.lock byte for byte" in ada.out("perenne verify")
    assert f"{shop.NAME}: eligible: all rules pass" in ada.out("perenne gate --push")
    assert "released shop@v1.0.0" in ada.out("perenne release --push")

    with serving(ada, "--log-url", shared) as running:
        old = same_everywhere(ada, running, rows, "v1.0.0")
        one = sent(rows[:1])[0]
        with Clients(running, one) as clients:
            ada.run("git checkout -q -b better && git checkout -q .")
            ada.edit("share: 0.2, rounds: 5", "share: 0.95, rounds: 40")
            ada.edit(r"share \* scores .*", "mean + share * (scores - mean)", "stages/shrinking.py")
            # The version in prod still needs its own feature, to be compared.
            ada.write("stages/newer.py", FEATURES.replace("/ 2", "/ 3"))
            contract = f"data/cases/{shop.NAME}/contract.yaml"
            ada.edit(
                r"^  worth: {(.*)}",
                r"  worth: {\1, role: ignored}\n  more: {code: stages.newer.make}",
                contract,
            )
            ada.edit(r"(      - stages/features\.py\n)", r"\1      - stages/newer.py\n", "dvc.yaml")
            ada.repro()
            ada.commit("a better model, by other code")
            said = ada.out("perenne review --base origin/main --out ../review")
            assert said.startswith(f"{shop.NAME}: can be merged: all rules pass")
            ada.run("git checkout -q main && git merge -q better && dvc push -q && git push -q")
            assert f"{shop.NAME}: eligible: all rules pass" in ada.out("perenne gate --push")
            ada.out("perenne release --push")
            assert running.reload().json() == {"version": "v1.1.0", "swapped": True}
            new = same_everywhere(ada, running, rows, "v1.1.0")
        assert old != new
        assert clients.failed == []
        by_version = {
            answer["model_version"]: {p["score"] for p in answer["predictions"]} for answer in clients.answers
        }
        assert by_version == {"v1.0.0": {old[0]}, "v1.1.0": {new[0]}}
    answered = Counter((p["id"], a["model_version"]) for a in clients.answers for p in a["predictions"])
    assert answered <= logged(shared)
    assert set(logged(shared).values()) == {1}
