"""How right are estimates without labels? Simulated rows, a model that was really fitted, fixed seeds.

Beside ours stand the value on validation, and the same calibration without the weights of the covariate shift
(CBPE). A month has 2,000 rows; validation is eight of them.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from tqdm import tqdm

from perenne.common import strict_yaml
from perenne.common.contract import Contract
from perenne.common.names import PREDICTION
from perenne.common.params import Tolerance
from perenne.common.typed import parse
from perenne.documents.drift import EstimatedPerformance
from perenne.stats.metrics import METRICS, Array
from perenne.watch import chances, concept, labelfree
from perenne.watch.validated import by_period

Rng = np.random.Generator
SEED = 7
TEXT = """\
row: one visit
task: {task}
period: month
label_delay: 1
columns:
  id: {{type: integer, role: entity}}
  at: {{type: datetime, role: time}}
  a: {{type: number, role: feature}}
  b: {{type: number, role: feature}}
  c: {{type: number, role: feature}}
  y: {{type: {target}}}
"""
FEATURES = ["a", "b", "c"]
BEFORE = pd.period_range("2024-01", periods=8, freq="M")
NOW = pd.Period("2024-09", freq="M")
ROWS = 2_000
TRAINED_ON = 6_000


class World(NamedTuple):
    """What is drawn: the means and the spread of the features in the batch, and what changes beside them.

    `curve` is an effect of `c` squared, which a linear model misses. `change` is added to the log odds of the
    batch, or in standard deviations to a quantity. `shock` is the standard deviation of whole months.
    """

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    wide: tuple[float, float, float] = (1.0, 1.0, 1.0)
    linear: bool = True
    curve: float = 0.5
    change: float = 0.0
    shock: float = 0.0
    binary: bool = True
    rows: int = ROWS


WORLDS = {
    "nothing moves": World(),
    "nothing moves, 500 rows": World(rows=500),
    "nothing moves, shocks of .1": World(shock=0.1),
    "a moves, a right model": World(mean=(0.7, 0, 0), linear=False),
    "a moves, a linear model": World(mean=(0.7, 0, 0)),
    "c moves, a linear model": World(mean=(0, 0, 0.8)),
    "c spreads, a linear model": World(wide=(1, 1, 1.4)),
    "c far outside": World(mean=(0, 0, 4.0)),
    "the concept changes": World(change=0.4),
    "regression: nothing moves": World(binary=False),
    "regression: a moves": World(mean=(0.7, 0, 0), binary=False),
    "regression: c moves": World(mean=(0, 0, 0.8), binary=False),
    "regression: the concept changes": World(change=0.4, binary=False),
}


class Result(NamedTuple):
    """One run: by metric the values, and what was said. `interval` is whether the realised value is in it."""

    metric: str
    true: float
    validation: float
    unweighted: float
    estimate: float
    interval: bool


def contract(world: World) -> Contract:
    """The contract of a world."""
    target = "integer, role: target, values: [0, 1]" if world.binary else "number, role: target"
    text = TEXT.format(task="binary" if world.binary else "regression", target=target)
    return parse(Contract, strict_yaml.loads(text), "contract.yaml")


def truth(x: Array, world: World, more: float = 0.0) -> Array:
    """The chance of an event, or the mean of a quantity."""
    value: Array = -1.6 + 0.9 * x[:, 0] + 0.5 * x[:, 1] + world.curve * (x[:, 2] ** 2 - 1) + more
    return 1 / (1 + np.exp(-value)) if world.binary else value


def outcomes(rng: Rng, x: Array, world: World, more: float = 0.0) -> Array:
    """Outcomes of rows; errors of a quantity are larger where `a` is."""
    mean = truth(x, world, more)
    if world.binary:
        return (rng.random(len(x)) < mean).astype(np.float64)
    return mean + rng.normal(size=len(x)) * np.exp(0.3 * x[:, 0])


def months(world: World, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, Array]:
    """Validation and a batch, both with scores and labels, and the true chances or means of the batch."""
    rng = np.random.default_rng([SEED, seed, world.rows])
    learned = rng.normal(size=(TRAINED_ON, 3))
    y = outcomes(rng, learned, world)
    if not world.binary:
        fitted = LinearRegression()
    elif world.linear:
        fitted = LogisticRegression()
    else:
        fitted = HistGradientBoostingClassifier(
            max_iter=60, max_leaf_nodes=15, random_state=0, early_stopping=False
        )
    fitted.fit(learned, y)

    def month(period: pd.Period, rows: int, x: Array, more: float) -> pd.DataFrame:
        seconds = rng.integers(0, period.days_in_month * 86_400, rows)
        score = fitted.predict_proba(x)[:, 1] if world.binary else fitted.predict(x)
        frame = pd.DataFrame(x, columns=FEATURES)
        at = (period.start_time + pd.to_timedelta(seconds, unit="s")).astype("datetime64[us]")
        return frame.assign(id=np.arange(rows), at=at, y=outcomes(rng, x, world, more), **{PREDICTION: score})

    before = [month(p, ROWS, rng.normal(size=(ROWS, 3)), world.shock * float(rng.normal())) for p in BEFORE]
    more = world.change + world.shock * float(rng.normal())
    x = rng.normal(size=(world.rows, 3)) * np.array(world.wide) + np.array(world.mean)
    return pd.concat(before, ignore_index=True), month(NOW, world.rows, x, more), truth(x, world, more)


def estimated(world: World, validated: pd.DataFrame, batch: pd.DataFrame) -> EstimatedPerformance | None:
    """The estimate, with what came."""
    task = contract(world)
    months = by_period(validated, task)
    watched = concept.watched(months, task, Tolerance(), periods=160)
    found = labelfree.LabelFree(months, watched, task, seed=0).estimate(batch)
    return labelfree.realised(found, batch, task)


def under(metric: str, chance: Array, score: Array) -> float:
    """A metric's expected value if these are the chances of an event."""
    outcome = np.repeat([1.0, 0.0], len(score))
    return METRICS[metric].prepare(outcome, np.tile(score, 2))(np.concatenate([chance, 1 - chance]))


def run(world: World, seed: int) -> tuple[bool, bool, list[Result]]:
    """One batch: whether there is an estimate, whether it says look, and its metrics."""
    validated, batch, chance = months(world, seed)
    found = estimated(world, validated, batch)
    if found is None or not found.metrics:
        return False, False, []
    old, y = (validated[name].to_numpy(dtype=np.float64) for name in (PREDICTION, "y"))
    score = batch[PREDICTION].to_numpy(dtype=np.float64)
    one = np.ones(len(y))
    results = []
    for each in found.metrics:
        assert each.realised is not None
        validation = METRICS[each.metric].prepare(y, old)(one)
        true, unweighted = each.realised, validation
        if world.binary:
            true = under(each.metric, chance, score)
            unweighted = under(each.metric, chances.calibrated(old, y, one)(score), score)
        results.append(
            Result(
                each.metric,
                true,
                validation,
                unweighted,
                each.estimate,
                each.low <= each.realised <= each.high,
            )
        )
    return True, bool(found.says), results


def table(count: int = 40) -> str:
    """Mean absolute errors of the estimates, how often intervals hold, and how often one says look."""
    lines = [
        f"{'world':32}{'metric':20}{'validation':>11}{'CBPE':>9}{'ours':>9}{'covered':>9}{'look':>7}{'none':>6}"
    ]
    with ProcessPoolExecutor() as pool:
        for name, world in tqdm(WORLDS.items(), desc="labelfree", unit="world", disable=None):
            runs = list(pool.map(partial(run, world), range(count)))
            told = [each for each in runs if each[0]]
            looks = sum(look for _, look, _ in told) / count
            none = 1 - len(told) / count
            if not told:
                lines.append(f"{name:32}{'':20}{'':11}{'':9}{'':9}{'':9}{looks:7.0%}{none:6.0%}")
            for place in range(len(told[0][2]) if told else 0):
                each = [results[place] for _, _, results in told]
                errors = [
                    float(np.mean([abs(getattr(r, kind) - r.true) for r in each]))
                    for kind in ("validation", "unweighted", "estimate")
                ]
                covered = float(np.mean([r.interval for r in each]))
                lines.append(
                    f"{name:32}{each[0].metric:20}{errors[0]:11.4f}{errors[1]:9.4f}{errors[2]:9.4f}"
                    f"{covered:9.0%}{looks:7.0%}{none:6.0%}"
                )
    return "\n".join(lines)
