"""The proof as YAML in a tag."""

from __future__ import annotations

import pytest

from perenne.common import strict_yaml
from perenne.documents.proof import Proof, ProvenChange, ProvenMetric, ProvenModel, ProvenVerdict
from perenne.documents.verdict import Verdict
from tests.documents.verdicts import FIRST_VERSION

VERDICT = Verdict.from_json(FIRST_VERSION, "a note")
PROOF = Proof(
    model=ProvenModel(sha256="12e34", size=7),
    lock={"dvc.lock": "1" * 64},
    as_of="2013-03-01",
    batches={"train": {"from": "2012-01", "rows": 9}},
    champion=None,
    change=ProvenChange(kind="minor", reasons=("train.seed 0 -> 1",)),
    intent="better",
    metrics={"brier": ProvenMetric(value=0.2, low=0.1, high=0.3)},
    measured_on="validation",
    golden={0: 0.12345678901234567, 7: 1e-05},
    verdict=ProvenVerdict.of(VERDICT),
    ledger="c" * 40,
)
KEYS = [
    "schema",
    "model",
    "released",
    "lock",
    "as_of",
    "batches",
    "champion",
    "change",
    "intent",
    "metrics",
    "measured_on",
    "golden",
    "verdict",
    "ledger",
]


def test_a_proof_equals_the_one_that_is_read_back() -> None:
    """Scores to the last digit, a hash that looks like a number as text; slices are left out."""
    whole = tuple(finding.model_copy(update={"parts": ()}) for finding in VERDICT.rules)
    expected = PROOF.model_copy(
        update={"verdict": ProvenVerdict.of(VERDICT.model_copy(update={"rules": whole}))}
    )
    assert Proof.from_yaml(PROOF.to_yaml(), "a tag") == expected


def test_keys_stay_those_of_schema_1() -> None:
    """In that order, so that tags of all versions look alike."""
    content = strict_yaml.loads(PROOF.to_yaml())
    assert list(content) == KEYS
    assert list(content["verdict"]) == ["answer", "why", "alpha", "policy", "policy_from", "holdout", "rules"]
    assert content["verdict"]["holdout"] == FIRST_VERSION["holdout"] | {
        "block": "",
        "view": None,
        "grouping": None,
        "sketch": None,
        "shown": {},
    }
    assert content["verdict"]["policy"] == FIRST_VERSION["policy"] | {"tolerance": {}}
    assert content["verdict"]["rules"][0] == {
        key: value for key, value in FIRST_VERSION["rules"][0].items() if key != "parts"
    }


@pytest.mark.parametrize(
    ("text", "proof"),
    [
        ("{}", Proof()),
        ("as_of: 5\nother: 1", Proof()),
        ("model: lost\nchange: 7", Proof()),
        ("model: {sha256: 5, size: 7}", Proof(model=ProvenModel(size=7))),
        ("metrics: {mae: 0.8}", Proof(metrics={"mae": ProvenMetric()})),
        ("metrics: none\nas_of: 2013-05", Proof(as_of="2013-05")),
        ("verdict: {answer: eligible, rules: 5}", Proof(verdict=ProvenVerdict(answer="eligible"))),
    ],
)
def test_a_proof_is_read_as_far_as_it_goes(text: str, proof: Proof) -> None:
    """What has another form counts as missing."""
    assert Proof.from_yaml(text, "a tag") == proof
