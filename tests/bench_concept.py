"""Does drift leave right models alone, and find wrong ones, in ordinary life? Simulated rows, fixed seeds.

A right model's outcomes are drawn from its own scores; ordinary life is added to both. A month has 2,000 rows
unless another number is named. The reference is as many months as named, then twenty are watched.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from tqdm import tqdm

from perenne.common import strict_yaml
from perenne.common.contract import Contract
from perenne.common.names import PREDICTION
from perenne.common.params import Tolerance
from perenne.common.typed import parse
from perenne.watch import concept

Rng = np.random.Generator
AFTER = 20  # months that are watched
SEED = 11
SLICES = list("abcdefghij")
TEXT = """\
row: one visit
task: {task}
period: month
label_delay: 0
columns:
  id: {{type: integer, role: entity}}
  at: {{type: datetime, role: time}}
  x: {{type: number, role: feature}}
{slice}  y: {{type: {kind}, role: target{values}}}
"""


class Month(NamedTuple):
    """What a month is drawn with: its rows, and how much of a change there is by then (0: none yet)."""

    rng: Rng
    moments: pd.DatetimeIndex
    x: np.ndarray
    place: np.ndarray
    customer: np.ndarray
    change: float
    shock: float
    number: int


class World(NamedTuple):
    """A world: what its rows are, and how they are drawn.

    `draw` returns scores and outcomes of a month. `shock` and `memory` are those of whole months. `later` are
    the rows of a month that is watched, if others. `customer`: rows are of customers, of which one has .15 of
    the reference, and that share of what is watched.
    """

    draw: Callable[[Month], tuple[Any, Any]]
    rows: int = 2000
    reference: int = 12
    binary: bool = True
    slices: bool = False
    shock: float = 0.0
    memory: float = 0.0
    gradual: int = 0
    later: int | None = None
    customer: float | None = None


def contract(world: World) -> Contract:
    """The contract of a world."""
    places = f"  place: {{type: category, role: slice, values: [{', '.join(SLICES)}]}}\n"
    customers = "  customer: {type: integer, role: block}\n"
    text = TEXT.format(
        task="binary" if world.binary else "regression",
        slice=places if world.slices else customers if world.customer else "",
        kind="integer" if world.binary else "number",
        values=", values: [0, 1]" if world.binary else "",
    )
    return parse(Contract, strict_yaml.loads(text), "contract.yaml")


def expit(x: Any) -> Any:
    """The probability of log odds."""
    return 1 / (1 + np.exp(-x))


def logits(
    month: Month,
    base: Callable[[Month], Any],
    *,
    change: float = 0.0,
    where: dict[str, float] | None = None,
    day: float = 0.0,
    own: float = 0.0,
    customers: float = 0.0,
) -> tuple[Any, Any]:
    """Scores that know the base, and outcomes that also know the change and all shocks.

    Those are of the month, of the day, and of the month in each place or for each customer.
    """
    known = base(month)
    true = known + change * month.change + month.shock
    for place, by in (where or {}).items():
        true = true + by * month.change * (month.place == place)
    true = true + month.rng.normal(0, day or 0.0, 32)[month.moments.day]
    if own:
        shocks = dict(zip(SLICES, month.rng.normal(0, own, len(SLICES)), strict=True))
        true = true + np.array([shocks[place] for place in month.place])
    if customers:
        true = true + month.rng.normal(0, customers, 41)[month.customer]
    return expit(known), (month.rng.random(len(known)) < expit(true)).astype(float)


def plain(month: Month) -> Any:
    """About 23 % events, as one feature has them."""
    return -1.5 + month.x


def weekday(month: Month) -> Any:
    """Events .40 at weekends, .10 on weekdays."""
    return np.log(np.where(month.moments.dayofweek >= 5, 0.4 / 0.6, 0.1 / 0.9))


def night(month: Month) -> Any:
    """Events .5 at night, .05 by day."""
    return np.log(np.where(month.moments.hour < 6, 1.0, 0.05 / 0.95))


def season(month: Month) -> Any:
    """A year that goes .8 up and down."""
    return plain(month) + 0.8 * math.sin(2 * math.pi * month.number / 12)


def rare(month: Month) -> Any:
    """Some two in a thousand."""
    return -6.8 + month.x


def heavy_days(month: Month) -> tuple[Any, Any]:
    """Days share a shock with tails."""
    known = plain(month)
    true = known + 0.3 / math.sqrt(3) * month.rng.standard_t(3, 32)[month.moments.day]
    return expit(known), (month.rng.random(len(known)) < expit(true)).astype(float)


def holidays(month: Month) -> tuple[Any, Any]:
    """Some days, one in thirty, have many more events, and no feature says so."""
    known = plain(month)
    true = known + (month.rng.random(32) < 0.03)[month.moments.day]
    return expit(known), (month.rng.random(len(known)) < expit(true)).astype(float)


def lost(month: Month) -> tuple[Any, Any]:
    """A fifth of the scores belong to other rows, once there is a change."""
    score, y = logits(month, lambda m: -1.5 + 1.5 * m.x)
    if month.change:
        some = month.rng.random(len(score)) < 0.2
        score = score.copy()
        score[some] = month.rng.permutation(score[some])
    return score, y


def numbers(
    month: Month, draw: Callable[[Rng, int], Any], size: Callable[[Month], Any] | None = None
) -> tuple[Any, Any]:
    """Predictions, and numbers that are missed by errors of a kind."""
    errors = draw(month.rng, len(month.x)) * (size(month) if size else 1.0)
    return 3 * month.x, 3 * month.x + errors


def normal(rng: Rng, n: int) -> Any:
    """Normal errors."""
    return rng.normal(size=n)


def heavy(rng: Rng, n: int) -> Any:
    """Errors without a fourth moment, nor a third."""
    return rng.standard_t(2.5, size=n)


def lognormal(rng: Rng, n: int) -> Any:
    """Skewed errors of mean 0."""
    return rng.lognormal(size=n) - math.exp(0.5)


def larger(month: Month) -> float:
    """A fifth larger, once there is a change."""
    return 1 + 0.2 * month.change


def loud(month: Month) -> Any:
    """Three times as large at weekends."""
    return np.where(month.moments.dayofweek >= 5, 3.0, 1.0)


def outliers(month: Month) -> Any:
    """Ten times as large in a hundredth of the rows, once there is a change."""
    return np.where((month.rng.random(len(month.x)) < 0.01) & (month.change > 0), 10.0, 1.0)


def skewed_days(month: Month) -> tuple[Any, Any]:
    """Days share a skewed error; a fifth larger, once there is a change."""
    day = lognormal(month.rng, 32)[month.moments.day]
    errors = (0.5 * day + month.rng.normal(size=len(month.x))) * larger(month)
    return 3 * month.x, 3 * month.x + errors


RIGHT: dict[str, World] = {
    "weekday .4/.1, 2,000 rows": World(partial(logits, base=weekday)),
    "weekday .4/.1, 10,000 rows": World(partial(logits, base=weekday), rows=10_000),
    "weekday .4/.1, 50,000 rows": World(partial(logits, base=weekday), rows=50_000),
    "night/day": World(partial(logits, base=night)),
    "season +-.8, reference 2 months": World(partial(logits, base=season), reference=2),
    "shocks of months, sd .05": World(partial(logits, base=plain), shock=0.05),
    "shocks of months, sd .1": World(partial(logits, base=plain), shock=0.1),
    "shocks of months, sd .1, 10,000 rows": World(partial(logits, base=plain), rows=10_000, shock=0.1),
    "shocks of months, sd .1, AR .5": World(partial(logits, base=plain), shock=0.1, memory=0.5),
    "the same, 10,000 rows": World(partial(logits, base=plain), rows=10_000, shock=0.1, memory=0.5),
    "shocks of months, sd .1, AR .9": World(partial(logits, base=plain), shock=0.1, memory=0.9),
    "shocks of days t(3), no block": World(heavy_days),
    "holidays that no feature knows": World(holidays),
    "shocks of days, no block": World(partial(logits, base=plain, day=0.3)),
    "shocks of days, then five times the rows": World(partial(logits, base=plain, day=0.6), later=10_000),
    "a customer's share grows from .15 to .6": World(
        partial(logits, base=plain, customers=0.3), customer=0.6
    ),
    "rate .2 %, reference 2 months": World(partial(logits, base=rare), reference=2),
    "ten slices": World(partial(logits, base=plain), slices=True),
    "each with months of its own, sd .2": World(partial(logits, base=plain, own=0.2), slices=True),
    "the same, 10,000 rows a month": World(partial(logits, base=plain, own=0.2), rows=10_000, slices=True),
    "errors x 3 at weekends": World(partial(numbers, draw=normal, size=loud), binary=False),
    "errors t(2.5)": World(partial(numbers, draw=heavy), binary=False),
    "errors lognormal": World(partial(numbers, draw=lognormal), binary=False),
    "errors of skewed days, no block": World(skewed_days, binary=False),
}
"""Worlds in which nothing changes."""

WRONG: dict[str, tuple[World, int]] = {
    "+.3 logit (weekday .4/.1)": (World(partial(logits, base=weekday, change=0.3)), 1),
    "+.3 logit (one feature)": (World(partial(logits, base=plain, change=0.3)), 1),
    "20 % of scores random": (World(lost), 1),
    "errors x 1.2, normal": (World(partial(numbers, draw=normal, size=larger), binary=False), 1),
    "errors x 1.2, lognormal": (World(partial(numbers, draw=lognormal, size=larger), binary=False), 1),
    "errors x 1.2, skewed days": (World(skewed_days, binary=False), 6),
    "1 % of rows x 10": (World(partial(numbers, draw=normal, size=outliers), binary=False), 12),
    "one slice of ten +1": (World(partial(logits, base=plain, where={"a": 1.0}), slices=True), 12),
    "two slices +1, -1": (World(partial(logits, base=plain, where={"a": 1.0, "b": -1.0}), slices=True), 6),
    "+1 logit, over 12 months": (World(partial(logits, base=plain, change=1.0), gradual=12), 6),
}
"""Worlds that change in the fourth month watched, and within how many months that is to be seen."""
CALM = 3


class Seen(NamedTuple):
    """The month of the first alarm, from 0, and the month that it names; None if there was none."""

    month: int | None
    dated: int | None


def walked(world: World, seed: int, *, changes: bool) -> Seen:
    """Watch one model for twenty months, or until the alarm."""
    rng = np.random.default_rng([SEED, seed])
    rows_of = contract(world)
    months = pd.period_range("2020-01", periods=world.reference + AFTER, freq="M")
    shock = 0.0
    before: dict[pd.Period, pd.DataFrame] = {}
    detectors = None
    for number, period in enumerate(months):
        place = number - world.reference
        since = place - CALM + 1
        change = (
            float(min(max(since, 0), world.gradual) / world.gradual) if world.gradual else float(since > 0)
        )
        innovation = rng.normal(0, world.shock * math.sqrt(1 - world.memory**2)) if world.shock else 0.0
        shock = world.memory * shock + innovation
        frame = drawn(world, rng, period, change if changes else 0.0, shock, number)
        if place < 0:
            before[period] = frame
            continue
        if detectors is None:
            detectors = concept.Detectors(concept.watched(before, rows_of, Tolerance(), periods=160), rows_of)
        alarmed = [state for state in detectors.update(period, frame) if state.alarm]
        if alarmed:
            dated = list(months).index(pd.Period(alarmed[0].since, freq="M")) - world.reference
            return Seen(place, dated)
    return Seen(None, None)


def drawn(
    world: World, rng: Rng, period: pd.Period, change: float, shock: float, number: int
) -> pd.DataFrame:
    """The scored rows of a month."""
    watched = number >= world.reference
    rows = world.later if watched and world.later else world.rows
    seconds = np.sort(rng.integers(0, int(period.days_in_month) * 86_400, rows))
    moments = pd.DatetimeIndex(period.start_time + pd.to_timedelta(seconds, unit="s"))
    x, place = rng.normal(size=rows), rng.choice(SLICES, rows)
    customer = np.zeros(rows, dtype=int)
    if world.customer:
        largest = rng.random(rows) < (world.customer if watched else 0.15)
        customer = np.where(largest, 0, rng.integers(1, 41, rows))
    score, y = world.draw(Month(rng, moments, x, place, customer, change, shock, number))
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "at": moments,
            "x": x,
            "place": place,
            "customer": customer,
            "y": y,
            PREDICTION: score,
        }
    )


def share(hits: int, of: int) -> str:
    """A share with its 95 % interval (Clopper and Pearson 1934)."""
    if not of:
        return "none"
    low, high = stats.binomtest(hits, of).proportion_ci()
    return f"{hits / of:4.0%} [{low:.0%}, {high:.0%}]"


def table(runs: int = 80) -> str:
    """False alarms of right models within 20 months, and when wrong ones are found; some ten minutes."""
    os.environ["OMP_NUM_THREADS"] = "1"
    lines = [f"False `retrain` within {AFTER} months, of {runs} right models each; goal: 12.5 % at most"]
    with ProcessPoolExecutor(2) as pool:
        for name, world in tqdm(RIGHT.items(), desc="right models", unit="world"):
            seen = list(pool.map(partial(walked, world, changes=False), range(runs)))
            lines.append(f"{name:40}{share(sum(each.month is not None for each in seen), runs):>20}")
        lines += ["", f"Power, of {runs} models whose world changes in month {CALM + 1}; goal: 80 % within"]
        heads = ("found within", "the same month", "false before", "dated right")
        lines.append(f"{'':32}{'months':>8}" + "".join(f"{head:>18}" for head in heads))
        for name, (world, within) in tqdm(WRONG.items(), desc="wrong models", unit="world"):
            seen = list(pool.map(partial(walked, world, changes=True), range(runs)))
            false = sum(each.month is not None and each.month < CALM for each in seen)
            found = [each for each in seen if each.month is not None and each.month >= CALM]
            soon = sum(each.month is not None and each.month < CALM + within for each in found)
            first = sum(each.month == CALM for each in found)
            dated = sum(each.dated == CALM for each in found)
            figures = ((soon, runs), (first, runs), (false, runs), (dated, len(found)))
            cells = "".join(f"{share(*each):>18}" for each in figures)
            lines.append(f"{name:32}{within:>8}{cells}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
