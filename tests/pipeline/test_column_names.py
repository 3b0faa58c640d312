"""What a column is called changes nothing, or the contract is refused: no name of ours is in the way."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from perenne.common import model, names
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.params import Drift, Evaluate, Tolerance, Train
from perenne.common.typed import parse
from perenne.documents import drift as drift_documents
from perenne.documents import evaluation, validation
from perenne.gate import judge
from perenne.pipeline.drift import drift
from perenne.pipeline.drift_fold import ScoredBatch
from perenne.pipeline.evaluate import evaluate
from perenne.pipeline.folds import Validation
from perenne.pipeline.ingest import table
from perenne.pipeline.train import train
from perenne.pipeline.validate import validate
from perenne.watch import covariates
from perenne.watch.streams import STREAMS

MONTHS = pd.period_range("2021-01", periods=4, freq="M")
MEASURE = Evaluate(resamples=100, confidence=0.9, bins=2, importance_rows=9, importance_repeats=1, seed=0)
WATCH = Drift(false_discovery_rate=0.05, min_effect=0.05, periods_per_false_alarm=160, report_rows=9, seed=0)
FIELDS = {
    name
    for module in (drift_documents, evaluation, validation)
    for document in vars(module).values()
    for name in getattr(document, "model_fields", {})
}
SHOWN = {
    "row",
    "rule",
    "value",
    "column",
    "known",
    "label",
    "index",
    "level_0",
    "observed",
    "predicted",
    "none",
}
WORDS = sorted((FIELDS | SHOWN | {*covariates.KINDS, *STREAMS}) - {*names.TAKEN})


def contract(called: list[str]) -> Contract:
    """Return a contract whose features have these names, numbers and categories in turns."""
    kinds: list[dict[str, Any]] = [
        {"type": "number", "role": "feature"},
        {"type": "category", "role": ["feature", "slice"]},
    ]
    columns = {
        "our id": {"type": "integer", "role": "entity"},
        "our time": {"type": "datetime", "role": "time"},
        **{name: kinds[n % 2] for n, name in enumerate(called)},
        "our target": {"type": "integer", "role": "target", "values": [0, 1]},
    }
    given = {"row": "a", "task": "binary", "period": "month", "label_delay": 0, "columns": columns}
    return parse(Contract, given, "contract.yaml")


def results(called: list[str]) -> list[Any]:
    """Return what quarantine, model, slices and drift tests hold, without the names of columns."""
    rows, kept = contract(called), {}
    broken = []
    for number, month in enumerate(MONTHS):
        rng = np.random.default_rng(number)
        values = [
            rng.normal(size=99) + number if n % 2 == 0 else rng.choice(["a", "b"], 99)
            for n in range(len(called))
        ]
        frame = pd.DataFrame(
            {"our id": range(99), "our time": month.start_time, **dict(zip(called, values, strict=True))}
        )
        frame["our target"] = rng.integers(0, 2, 99)
        frame.loc[7, "our target"] = 9
        checked = validate(table(frame, rows).to_pandas(), month, rows, matured=True)
        assert list(checked.quarantined) == [*rows.columns, names.BROKEN_RULES]
        broken.append(checked.quarantined[names.BROKEN_RULES].tolist())
        kept[month] = checked.kept.reset_index(drop=True)
    params = {"max_iter": 3}
    spec = Train(estimator="sklearn.ensemble.HistGradientBoostingClassifier", params=params, seed=0)
    pipeline = train(kept[MONTHS[0]], spec, rows)
    scores = {month: model.predict(pipeline, frame, rows) for month, frame in kept.items()}
    scored = {month: frame.assign(**{names.PREDICTION: scores[month]}) for month, frame in kept.items()}
    learned = kept[MONTHS[0]].assign(**{names.PREDICTION: math.nan})
    held = scored[MONTHS[1]].assign(**{names.FOLD: 1})
    measured = evaluate(Validation(held, np.full(len(held), 0.5), "month", ()), MEASURE, rows)
    report = drift(
        {MONTHS[0]: learned, MONTHS[1]: scored[MONTHS[1]]},
        {MONTHS[1]: scored[MONTHS[1]]},
        [ScoredBatch(month, scored[month], matured=True) for month in MONTHS[2:]],
        {},
        WATCH,
        Tolerance(),
        rows,
    )
    tests = [test.model_dump() for batch in report.batches for test in batch.covariates]
    places = {name: places.tolist() for name, places in judge.slices(kept[MONTHS[1]], rows).items()}
    parts = [[part.model_dump() for part in parts.values()] for parts in measured.slices.values()]
    return [broken, scores[MONTHS[3]].tolist(), [*places.values()], parts, tests]


def test_words_of_ours_as_names_of_columns_change_nothing() -> None:
    """The same rows under other names: the same quarantine, scores, slices and drift tests."""
    plain = [f"column {n:03}" for n in range(len(WORDS))]
    ours, theirs = results(WORDS), results(plain)
    for test in ours[-1] + theirs[-1]:
        test.pop("feature")
    assert ours == theirs


@pytest.mark.parametrize("name", names.TAKEN)
def test_words_that_people_read_as_ours_are_refused(name: str) -> None:
    """They would be in the way, so no contract may hold them."""
    with pytest.raises(PerenneError, match=re.escape(names.TAKEN[name])):
        contract([name, "a"])


def test_drift_calls_nothing_but_columns_by_another_name() -> None:
    """Each test is of a feature, or of something that no contract can name."""
    tests = results(["a", "b"])[-1]
    others = {test["feature"] for test in tests} - {"a", "b"}
    assert {names.PREDICTION, names.FEATURES, names.ROWS} <= others <= names.TAKEN.keys()
