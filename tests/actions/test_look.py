"""The look of a review: what is taken from it, and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from perenne.actions.look import looked
from perenne.common.errors import PerenneError

SHA = "a" * 64
GATE = {
    "case": "rain",
    "intent": "better",
    "challenger": {"sha256": SHA, "size": 7},
    "against": [SHA],
    "holdout": {"batches": {"2025-12": SHA}},
    "alpha": {"look": 1},
    "policy": {"alpha": 0.4},
}


def review(**changes: Any) -> str:
    """Return a review whose gate differs in something."""
    return json.dumps({"base": "b" * 40, "gate": GATE | changes})


def test_models_and_batches_are_taken_over() -> None:
    """And not the policy, nor what was spent: those are decided where the ledger is written."""
    found = looked(review())
    assert found
    assert set(found.model_dump()) == {"base", "case", "intent", "challenger", "against", "batches"}
    assert found.batches == {"2025-12": SHA}


def test_review_that_compared_nothing_has_made_no_look() -> None:
    """The model was unchanged, not reproducible, or the champion's own."""
    assert looked(json.dumps({"gate": None})) is None
    assert looked(json.dumps({"gate": {"answer": "rejected"}})) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"gate": 7}',
        review(case="a b\n"),
        review(case="$(x)"),
        review(intent="worse"),
        review(challenger={"sha256": SHA, "size": 0}),
        review(challenger={"sha256": "../x", "size": 7}),
        review(against=[SHA] * 3),
        review(holdout={"batches": {}}),
        review(holdout={"batches": {"2025-12": "x"}}),
        review(holdout={"batches": {f"{i}": SHA for i in range(1001)}}),
        review().replace("b" * 40, "main"),
    ],
)
def test_what_no_review_writes_is_refused(text: str) -> None:
    """In one line, which names the file."""
    with pytest.raises(PerenneError, match=r"^review\.json"):
        looked(text)
