"""Verdicts for tests."""

from __future__ import annotations

from typing import Any

from perenne.documents.verdict import Holdout, ModelFile, PolicyRecord, Verdict

WITHOUT_LOOK = Verdict(
    case="rain",
    challenger=ModelFile(sha256="feed", size=7),
    champion="v1.0.0",
    base=None,
    intent="better",
    change=None,
    policy=PolicyRecord(intent="auto", alpha=0.05, metric="brier", rules={"floor": {"min_gain": 0.0}}),
    policy_from=None,
    holdout=Holdout(
        md5="5" * 32, batches={"2021-03": "aaaa"}, first="2021-03", last="2021-03", rows=9, blocks=3
    ),
    answer="rejected",
    why="it is the model of v1.0.0",
)

# The first version of Perenne wrote neither the opponents nor the models compared.
FIRST_VERSION: dict[str, Any] = {
    "schema": 1,
    "case": "rain",
    "challenger": {"sha256": "feed", "size": 7},
    "champion": "v1.0.0",
    "base": None,
    "intent": "better",
    "change": {"kind": "minor", "reasons": ["train.seed 0 -> 1"]},
    "policy": {
        "intent": "auto",
        "alpha": 0.05,
        "metric": "brier",
        "rules": {"floor": {"min_gain": 0.0}, "slices": {"margin": 0.01, "min_blocks": 30}},
    },
    "policy_from": None,
    "holdout": {
        "md5": "5" * 32,
        "batches": {"2021-03": "aaaa"},
        "from": "2021-03",
        "to": "2021-03",
        "rows": 9,
        "blocks": 3,
    },
    "answer": "undecided",
    "why": "floor against the mean",
    "rules": [
        {
            "rule": "slices",
            "against": "v1.0.0 in prod",
            "answer": "undecided",
            "value": 0.1,
            "low": None,
            "high": 0.2,
            "needed": "> -0.01",
            "says": "",
            "more_blocks": None,
            "parts": [
                {
                    "rule": "slices",
                    "against": "site=a",
                    "answer": "not judged",
                    "value": None,
                    "low": None,
                    "high": None,
                    "needed": "> -0.01",
                    "says": "2 blocks",
                    "more_blocks": 0.0,
                    "parts": [],
                }
            ],
        }
    ],
    "alpha": {"total": 0.05, "look": 2, "spent": 0.0073, "left": 0.0092},
    "metrics": {"brier": {"value": 0.2, "low": 0.1, "high": None}},
}
