"""The look of a review: which of its values are used, and which are not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from perenne.actions.look_job import looked
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


def test_models_and_batches_are_used() -> None:
    """The policy and the spent alpha are not: both are computed anew for the ledger."""
    compared = looked(review())
    assert compared
    assert set(compared.model_dump()) == {"base", "case", "intent", "challenger", "against", "batches"}
    assert compared.batches == {"2025-12": SHA}


def test_review_that_compared_nothing_made_no_look() -> None:
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
def test_text_that_no_review_writes_is_an_error(text: str) -> None:
    """One line names the file."""
    with pytest.raises(PerenneError, match=r"^review\.json"):
        looked(text)
