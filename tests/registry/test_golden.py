"""Golden predictions: recorded by a release, and had again from its tag alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from perenne.common import batches, model, model_file, names
from perenne.common.contract import read_contract
from perenne.common.errors import PerenneError
from perenne.documents.proof import Proof
from perenne.registry import golden, tags
from perenne.registry.tags import Version
from tests.conftest import Enter
from tests.project import Project


def test_release_records_what_its_model_says(company: Project, enter: Enter) -> None:
    """Scores of rows over the whole holdout, exactly those of the model in use, and no row in the tag."""
    enter(company)
    version = tags.read("retirement").find("prod")
    recorded = golden.recorded(version)
    holdout = batches.read_parquet(names.HOLDOUT)
    assert len(recorded) == golden.COUNT
    assert (min(recorded), max(recorded)) == (0, len(holdout) - 1)
    contract = read_contract("retirement")
    pipeline, _ = model_file.load(names.RELEASED, names.RELEASED_CARD)
    scores = model.predict(pipeline, holdout.iloc[list(recorded)], contract)
    assert scores.tolist() == list(recorded.values())
    assert "salary" not in (version.proof_text or "").partition("golden:")[2].partition("verdict:")[0]


def test_rows_come_back_from_the_tag_alone(company: Project, enter: Enter) -> None:
    """In a clone without data: as JSON holds them, features and time only, what is missing left out."""
    company.run("git clone -q file://$PWD/../origin.git ../elsewhere")
    elsewhere = Project(company.path.parent / "elsewhere")
    enter(elsewhere)
    version = tags.read("retirement").find("prod")
    contract = read_contract("retirement")
    rows = golden.rows(version, contract)
    assert json.loads(json.dumps(rows)) == rows
    assert len(rows) == golden.COUNT
    assert {name for row in rows for name in row} == {contract.time, *contract.features}
    assert any("absence_days" not in row for row in rows)


def test_tag_without_them_is_told(company: Project, enter: Enter) -> None:
    """A version of before, or one that was tagged by other means, cannot be proven where it is served."""
    enter(company)
    version = tags.read("retirement").find("prod")
    for proof in (None, "model: {sha256: aa}", "golden: {}"):
        with pytest.raises(PerenneError, match=r"retirement@v1\.0\.0: the tag holds no golden predictions"):
            golden.recorded(version._replace(proof_text=proof))
    for wrong in ("high", "[]", "[0.5, high]", "[[0.5]]", "{a: 0.5}"):
        with pytest.raises(PerenneError, match=r"golden\.3: found .*, must be a score by its row"):
            golden.recorded(version._replace(proof_text=f"golden: {{3: {wrong}}}"))


def test_tag_holds_a_number_or_one_for_each_class() -> None:
    """Older tags have numbers; both come back to the bit."""
    tag: Any = None
    version = Version("crops", "v1.0.0", "", tag, "", "", None, signed=False, tag="crops@v1.0.0")
    for scores in ({0: 0.1 + 0.2, 7: 1.0}, {0: [0.1 + 0.2, 0.7], 7: [0.0, 1.0]}):
        read = golden.recorded(version._replace(proof_text=Proof(golden=scores).to_yaml()))
        assert read == scores
    assert golden.first_other({0: 0.5}, [[0.5]]) == (0, [0.5], 0.5)
    assert golden.first_other({0: [0.5, 0.5]}, [[0.5]]) == (0, [0.5], [0.5, 0.5])
    released: dict[int, golden.Score] = {0: [0.5, 0.5], 4: [1.0, 0.0]}
    assert golden.first_other(released, [[0.5, 0.5], [1.0, 1e-8]]) == (4, [1.0, 1e-8], [1.0, 0.0])
    assert golden.first_other(released, [[0.5, 0.5], [1.0, 1e-10]]) is None
