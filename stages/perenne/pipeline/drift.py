"""Drift: do the batches after `as_of` look like what the model learned, and is it still right about them.

Decided here, with statistics on all the rows; Evidently shows a sample of them. Moved columns say *look*: the
model may be right all the same. Only what it gets wrong on matured labels says *retrain*.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from perenne.common import batches, model, params
from perenne.common.contract import Contract, read_contract
from perenne.common.cut import Cut
from perenne.common.errors import PerenneError, hint
from perenne.common.names import CLEAN, DRIFT, DRIFT_PAGE, DRIFT_TIMELINE, IMPORTANCE, PREDICTION
from perenne.common.params import Drift
from perenne.pages import drift as verdict
from perenne.pages import evidently
from perenne.stats.counts import Volume
from perenne.stats.multiplicity import adjusted, flagged, persistent
from perenne.stats.tally import Tally
from perenne.watch import concept, covariates
from perenne.watch.covariates import Key, Tests

SCHEMA = 1  # of drift.json: raised when a key is renamed or changes its meaning
STREAMS = {
    "loss": "the loss has risen",
    "ranking": "the ranking is lost",
    "too many": "more came than expected",
    "too few": "fewer came than expected",
}


class Batch(NamedTuple):
    """A scored batch; `matured`: its labels have had the time to come.

    `in_reference`: its rows are part of the reference, as up to `as_of`, and only its labels are new.
    """

    period: pd.Period
    rows: pd.DataFrame
    matured: bool
    in_reference: bool = False


def drift(
    reference: Mapping[pd.Period, pd.DataFrame],
    current: Iterable[Batch],
    importance: Mapping[str, float],
    spec: Drift,
    contract: Contract,
) -> dict[str, Any]:
    """Compare each batch, and all of them together, with the reference; advise none, look or retrain.

    Scores are in the column `prediction` of every batch, and of the reference where it measured the model.
    """
    before = covariates.baseline(reference, contract)
    measured = {period: rows for period, rows in reference.items() if rows[PREDICTION].notna().any()}
    watch = concept.watched(measured, contract, periods=spec.periods_per_false_alarm, seed=spec.seed)
    detectors = concept.Detectors(watch, seed=spec.seed)
    found: list[dict[str, Any]] = []
    last: Tests = {}
    sofar: dict[str, Tally] = {}
    for batch in current:
        tests: Tests = {}
        volumes: dict[Key, Volume] = {}
        if not batch.in_reference:
            tallies = covariates.tallied(batch.rows, before, contract)
            sofar = covariates.pooled(sofar, tallies)
            volumes = covariates.arrivals(before, batch.period, batch.rows, contract, matured=batch.matured)
            tests = covariates.columnwise(before, tallies) | covariates.as_tests(volumes)
            tests |= covariates.together(before, batch.rows, contract, seed=spec.seed)
        moved = persistent(last, tests, level=spec.false_discovery_rate, floor=spec.min_effect)
        streams = detectors.update(batch.period, batch.rows, contract) if batch.matured else []
        judged = advice(tests, moved, streams, importance)
        judged |= {"covariates": listed(tests, moved, importance), "concept": streams}
        found.append(described(batch, before, volumes, contract) | judged)
        last = tests
    both = covariates.columnwise(before, sofar) if sofar else {}
    apart = flagged(both, level=spec.false_discovery_rate, floor=spec.min_effect)
    return {
        "schema": SCHEMA,
        "advice": overall(found, max(reference)),
        "reference": {"from": str(min(reference)), "to": str(max(reference)), "rows": sum(before.rows)},
        # Null for a stream that is not watched.
        "increments_until_seen": dict.fromkeys(STREAMS)
        | {name: w.increments_until_seen for name, w in watch.items()},
        "batches": found,
        "cumulative": listed(both, apart, importance),
    }


def described(
    batch: Batch, before: covariates.Baseline, volumes: Mapping[Key, Volume], contract: Contract
) -> dict[str, Any]:
    """What is in a batch: rows, labels, scores, and what of them was expected."""
    means = {"mean": float(batch.rows[PREDICTION].mean()), "reference": before.score}
    return {
        "period": str(batch.period),
        "rows": len(batch.rows),
        "matured": int(batch.rows[contract.target].notna().sum()) if batch.matured else 0,
        "predictions": means | (concept.figures(batch.rows, contract) if batch.matured else {}),
        "volume": {f"{n}: {k}": v for (n, _), found in volumes.items() for k, v in found._asdict().items()},
    }


def advice(
    tests: Tests, moved: Mapping[Key, float], streams: list[dict[str, Any]], importance: Mapping[str, float]
) -> dict[str, Any]:
    """The level of one batch with its reasons, what matters most to the model first."""
    wrong = [f"{STREAMS[s['stream']]}, since {s['since']}" for s in streams if s["alarm"]]
    ranked = sorted(moved, key=lambda key: -importance.get(key[0], 0.0))
    changed = [said(key, tests[key].effect) for key in ranked]
    return {"level": "retrain" if wrong else "look" if changed else "none", "reasons": [*wrong, *changed]}


def said(key: Key, effect: float) -> str:
    """A test that moved, in words."""
    name, kind = key
    if math.isinf(effect):
        return f"{name}: some are missing where none ever was"
    return {
        "distribution": f"{name} has moved (effect {effect:.2f})",
        "missing": f"{name}: {effect:+.1%} missing values",
        "unseen": f"{name}: {effect:.1%} of the rows have a value never seen before",
        "joint": f"{name} together have moved (effect {effect:.2f})",
        "volume": f"{name}: {effect:+.0%} against what was expected",
        "missing labels": f"{name}: {effect:+.0%} missing against what was expected",
    }[kind]


def overall(found: list[dict[str, Any]], as_of: pd.Period) -> dict[str, Any]:
    """The advice of the day: that of the latest batch, but an alarm on labels stays until a retraining."""
    if not found:
        return {"level": "none", "reasons": [f"no batch after {as_of} has come yet"]}
    alarmed = [batch for batch in found if batch["level"] == "retrain"]
    batch = alarmed[-1] if alarmed else found[-1]
    return {
        "level": batch["level"],
        "reasons": batch["reasons"] or [f"nothing has changed up to {batch['period']}"],
    }


def listed(tests: Tests, moved: Mapping[Key, float], importance: Mapping[str, float]) -> list[dict[str, Any]]:
    """Every test of a batch, what matters most to the model first."""
    made = {key: test for key, test in tests.items() if not math.isnan(test.pvalue)}
    qvalues = adjusted([test.pvalue for test in made.values()])
    found = [
        {
            "feature": name,
            "importance": importance.get(name),
            "test": kind,
            "effect": test.effect,
            "p": test.pvalue,
            "q": float(q),
            "alarm": (name, kind) in moved,
        }
        for ((name, kind), test), q in zip(made.items(), qvalues, strict=True)
    ]
    return sorted(found, key=lambda test: -(test["importance"] or 0.0))


def timeline(report: Mapping[str, Any]) -> pd.DataFrame:
    """One row a batch: the evidence of each stream, as a share of what raises the alarm."""
    found = [
        (batch["period"], stream["stream"], stream["log_e"] / stream["threshold"])
        for batch in report["batches"]
        for stream in batch["concept"]
    ]
    wide = pd.DataFrame(found, columns=["period", "stream", "evidence"]).pivot_table(
        index="period", columns="stream", values="evidence"
    )
    return wide.reindex(columns=list(STREAMS)).assign(alarm=1.0).reset_index()


def main() -> None:
    """Write the report for machines, the page for people, and the time line."""
    p = params.load("drift")
    contract = read_contract(p.case)
    cut = Cut.of(p.split, contract)
    pipeline, _ = model.load()
    files = batches.listed(CLEAN, contract)
    sample: list[pd.DataFrame] = []

    def scored(period: pd.Period) -> pd.DataFrame:
        rows = read(files[period], contract)
        return rows.assign(**{PREDICTION: model.predict(pipeline, rows, contract).round(9)})

    def learned(period: pd.Period) -> pd.DataFrame:
        return read(files[period], contract).assign(**{PREDICTION: math.nan})

    def current() -> Iterator[Batch]:
        for period in tqdm(later, desc="drift", unit="batch", disable=None):
            rows = scored(period)
            if period > cut.as_of:
                sample.append(evidently.sampled(rows, p.drift.report_rows, p.drift.seed))
            yield Batch(period, rows, period + contract.label_delay <= max(files), period <= cut.as_of)

    # Of the last periods up to `as_of` the rows were known, but not the labels: those are news.
    later = cut.news(files)
    reference = {q: scored(q) if cut.part(q) == "holdout" else learned(q) for q in cut.reference(files)}
    important = dict(pd.read_csv(IMPORTANCE)[["feature", "importance"]].itertuples(index=False, name=None))
    # One BLAS thread: small eigenproblems by the hundred, which threads only slow down.
    with threadpool_limits(1, user_api="blas"):
        report = drift(reference, current(), important, p.drift, contract)
    measured = pd.concat(rows for rows in reference.values() if rows[PREDICTION].notna().any())
    page = render(measured, pd.concat([measured[:0], *sample]), report, p.drift, contract)
    batches.write_json(DRIFT, report)
    print(f"drift: {report['advice']['level']}: {'; '.join(report['advice']['reasons'])}")
    with batches.replacing(DRIFT_TIMELINE) as temporary:
        timeline(report).to_csv(temporary, index=False, float_format="%.6g")
    with batches.replacing(DRIFT_PAGE) as temporary:
        temporary.write_text(page, encoding="utf-8")


def read(path: Path, contract: Contract) -> pd.DataFrame:
    """A batch with all of the contract's columns; a `PerenneError` names the one that is not there."""
    rows = batches.read_parquet(path)
    absent = [name for name in contract.columns if name not in rows]
    if absent:
        raise PerenneError(f"{path}: no column {absent[0]!r}; {hint(absent[0], rows.columns)}")
    return rows


def render(
    measured: pd.DataFrame, now: pd.DataFrame, report: Mapping[str, Any], spec: Drift, contract: Contract
) -> str:
    """The page: our verdict on top, Evidently's view of a sample below it."""
    alarms = {test["feature"]: False for test in report["cumulative"]}
    alarms |= {
        test["feature"]: True for b in report["batches"][-1:] for test in b["covariates"] if test["alarm"]
    }
    told = verdict.render(report)
    return evidently.page(measured, now, contract, told, alarms, rows=spec.report_rows, seed=spec.seed)
