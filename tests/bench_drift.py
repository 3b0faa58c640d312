"""Does the drift report say the right thing: on fifty companies, and on every month of real flights."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pandas as pd
from scipy import stats
from tqdm import tqdm

from perenne.cases import flights, retirement
from perenne.common import current, model, params, periods, strict_yaml
from perenne.common.contract import Contract, read_contract
from perenne.common.cut import Cut
from perenne.common.names import PARAMS, PREDICTION
from perenne.common.typed import parse
from perenne.pipeline import drift, train
from perenne.pipeline.drift_fold import ScoredBatch
from perenne.stats.metrics import roc_auc
from perenne.watch import concept

FIRST = pd.Period("2020Q4")  # the first quarter whose label falls under the law
CALM = 8  # quarters before it, in which nothing changes


def case(name: str) -> tuple[params.Params, Contract]:
    """Return a case's params, wherever they are, and its contract."""
    path = PARAMS if current.current() == name else current.own(name)
    return parse(params.Params, strict_yaml.load(path), str(path)), read_contract(name)


def walked(seed: int) -> tuple[str | None, list[str]]:
    """Return the quarter in which one company's model first raises the alarm, and the streams that do."""
    p, contract = case("retirement")
    as_of = FIRST - CALM - 1
    cut = Cut(as_of, p.split.window, p.split.holdout, contract.label_delay)
    start = cut.known - cut.window + 1
    history = {
        q: rows.astype({"retires": "Float64"}) for q, rows in retirement.simulate(start, FIRST + 1, seed=seed)
    }
    learned = pd.concat([rows for q, rows in history.items() if cut.part(q) == "train"], ignore_index=True)
    pipeline = train.train(learned.astype({"retires": "int64"}), p.train, contract)
    for quarter, rows in history.items():
        history[quarter] = rows.assign(**{PREDICTION: model.predict(pipeline, rows, contract).round(9)})
    measured = {q: rows for q, rows in history.items() if cut.part(q) == "holdout"}
    watch = concept.watched(measured, contract, p.tolerance, periods=p.drift.periods_per_false_alarm)
    detectors = concept.Detectors(watch, contract)
    for quarter in pd.period_range(as_of + 1, FIRST):
        alarmed = concept.alarms(detectors.update(quarter, history[quarter]))
        if alarmed:
            return str(quarter), alarmed
    return None, []


def companies(seeds: int = 50) -> str:
    """Return how many companies are told to retrain at the law's first matured quarter, and before it."""
    os.environ["OMP_NUM_THREADS"] = "1"  # one company a core
    with ProcessPoolExecutor(2) as pool:
        found = list(tqdm(pool.map(walked, range(seeds)), total=seeds, desc="companies"))
    at = sum(when == str(FIRST) for when, _ in found)
    before = sum(when is not None and when < str(FIRST) for when, _ in found)
    streams = pd.Series([s for when, which in found if when == str(FIRST) for s in which]).value_counts()
    return "\n".join(
        [
            f"retirement, {seeds} seeds, alarms on matured labels",
            f"  retrain at {FIRST}, the law's first quarter   {share(at, seeds)}   (goal: 95 % or more)",
            f"  retrain in the {CALM} quarters before it       {share(before, seeds)}   (goal: 5 % or less)",
            f"  streams that raised it: {', '.join(f'{name} {n}' for name, n in streams.items())}",
        ]
    )


def share(count: int, of: int) -> str:
    """Return a share with its 95 % interval (Clopper and Pearson 1934)."""
    low, high = stats.binomtest(count, of).proportion_ci()
    return f"{count / of:5.0%} [{low:.0%}, {high:.0%}]"


def months() -> str:
    """Return our advice, Evidently's verdict and the true fall of AUC, for each month of flights."""
    p, contract = case("flights")
    rows = flights.flights()[list(contract.columns)]
    by = dict(list(rows.groupby(periods.of(rows["departure"], contract.period))))
    cut = Cut(pd.Period(p.split.as_of), p.split.window, p.split.holdout, contract.label_delay)
    learned = (
        pd.concat([by[m] for m in by if cut.part(m) == "train"]).dropna(subset="late").reset_index(drop=True)
    )
    pipeline = train.train(learned.astype({"late": "int64"}), p.train, contract)
    scored = {
        m: b.assign(**{PREDICTION: model.predict(pipeline, b, contract).round(9)}) for m, b in by.items()
    }
    reference = {m: by[m].assign(**{PREDICTION: float("nan")}) for m in by if cut.part(m) == "train"}
    reference[cut.as_of] = scored[cut.as_of]
    base = auc(scored[cut.as_of])
    lines = [
        "flights, model of January-February, each later month",
        f"{'month':10}{'ours':>10}{'Evidently':>22}{'AUC':>8}{'fall':>8}  why",
        f"{cut.as_of!s:10}{'holdout':>10}{'':22}{base:8.3f}",
    ]
    later = [m for m in by if m > cut.as_of]
    batches = [ScoredBatch(m, scored[m], matured=True) for m in later]
    report = drift.drift(
        reference, {cut.as_of: scored[cut.as_of]}, batches, {}, p.drift, p.tolerance, contract
    )
    for month, batch in zip(later, report.batches, strict=True):
        found = auc(scored[month])
        theirs = evidently(learned, by[month], contract)
        lines.append(
            f"{month!s:10}{batch.level:>10}{theirs:>22}"
            f"{found:8.3f}{base - found:8.3f}  {'; '.join(batch.reasons[:2])}"
        )
    return "\n".join(lines)


def auc(rows: pd.DataFrame) -> float:
    """Return the ranking of the labelled rows."""
    known = rows[rows["late"].notna()]
    return roc_auc(known["late"].to_numpy(dtype=float), known[PREDICTION])(np.ones(len(known)))


def evidently(reference: pd.DataFrame, current: pd.DataFrame, contract: Contract) -> str:
    """Return what Evidently's preset says by default: has the dataset drifted, and how many columns."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    kinds = {n: contract.columns[n].type for n in contract.features}
    definition = DataDefinition(
        numerical_columns=[n for n, kind in kinds.items() if kind != "category"],
        categorical_columns=[n for n, kind in kinds.items() if kind == "category"],
    )
    sides = [
        Dataset.from_pandas(model.inputs(side, contract), data_definition=definition)
        for side in (current, reference)
    ]
    counted = Report([DataDriftPreset()]).run(*sides).dict()["metrics"][0]["value"]
    drifted = "drift" if counted["share"] >= 0.5 else "no drift"
    return f"{drifted} ({counted['count']:.0f} of {len(kinds)})"


if __name__ == "__main__":
    print(companies())
    print(months())
