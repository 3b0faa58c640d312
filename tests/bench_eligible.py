"""How often the gate lets a fresher model through that is equal and right, and one that is just too bad.

The policies are those of the built-in cases, without `size` and `latency`, on simulated holdouts. Both models
see what decides, each with errors of its own that are of one size: so they are equal, and right on the
average over all days. Fixed seeds, exact 95 % intervals; under three minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import optimize, special
from tqdm import tqdm

from perenne.common.task import BINARY
from perenne.gate.evidence import Contender, Evidence
from perenne.gate.judge import judge
from perenne.gate.policy import GateSection, Policy
from perenne.gate.rules import Rule
from perenne.stats import spending
from perenne.stats.metrics import Array
from tests.bench_bounds import share
from tests.bench_drift import case

Generator = np.random.Generator
GRID = np.linspace(-12, 12, 2_401)
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(40)


class Stream(NamedTuple):
    """A kind of holdout: its blocks, and how outcomes come about. All sizes are in logits.

    `days` share an effect of sd `day`; the rows of none are independent. A row's own logit varies by
    `spread`, and each model sees it with an error of `blur`, the new one with `extra` if that is not 0.
    `observed` is the true observed / expected of the old model and the new. `parts` are the shares of the
    slices of each column.
    """

    case: str
    days: int
    rows: int
    base: float
    spread: float
    day: float
    blur: float
    parts: tuple[tuple[float, ...], ...]
    extra: float = 0.0
    observed: tuple[float, float] = (1.0, 1.0)


ALPHAS = [spending.alpha(look, 0.05, 0.05) for look in (1, 2, 3)]
CARRIERS = (0.17, 0.16, 0.15, 0.14, 0.1, 0.06, 0.06, 0.05, 0.04, 0.02, 0.015, 0.01, 0.01, 0.01, 0.005)
ORIGINS = (0.36, 0.33, 0.31)
FLIGHTS = Stream("flights", 30, 900, -1.5, 0.9, 0.7, 0.2, (CARRIERS, ORIGINS))
AGES, CATEGORIES, SITES = (0.45, 0.3, 0.2, 0.05), (0.4, 0.3, 0.2, 0.1), (0.3, 0.2, 0.2, 0.2, 0.1)
SLICES = (AGES, CATEGORIES, SITES, (0.5, 0.5), (0.8, 0.2))
EMPLOYEES = Stream("retirement", 0, 5_000, -2.8, 1.2, 0.0, 0.2, SLICES)


class Holdout(NamedTuple):
    """The outcomes, blocks and slices of some rows, and what two equal models say of them."""

    y: Array
    blocks: np.ndarray
    slices: dict[str, np.ndarray]
    new: Array
    old: Array
    mean: float


def draw(rng: Generator, stream: Stream) -> Holdout:
    """Draw a holdout."""
    day = np.repeat(np.arange(stream.days), stream.rows) if stream.days else np.arange(stream.rows)
    rows = len(day)
    own = stream.spread * rng.normal(size=rows)
    shared = stream.day * rng.normal(size=stream.days)[day] if stream.days else 0.0
    y = (rng.random(rows) < special.expit(stream.base + own + shared)).astype(float)
    old, new = (
        said(stream, own + blur * rng.normal(size=rows), blur) / observed
        for blur, observed in zip((stream.blur, stream.extra or stream.blur), stream.observed, strict=True)
    )
    slices: dict[str, np.ndarray] = {}
    for column, shares in enumerate(stream.parts):
        value = rng.choice(len(shares), rows, p=np.array(shares) / sum(shares))
        slices |= {f"{column}={v}": np.flatnonzero(value == v) for v in range(len(shares))}
    return Holdout(y, day, slices, np.minimum(new, 0.9999), np.minimum(old, 0.9999), mean(stream))


def said(stream: Stream, looks: Array, blur: float) -> Array:
    """Return the chance of an event by how a row looks to a model: right on the average over all rows."""
    trust = stream.spread**2 / (stream.spread**2 + blur**2)
    sd = float(np.sqrt(stream.spread**2 * (1 - trust) + stream.day**2))
    return averaged(stream.base + trust * looks, sd)


def averaged(logit: Array, sd: float) -> Array:
    """Return the mean chance of an event where the logit varies around a value by a sd."""
    return np.interp(logit, GRID, _chances(sd))


@cache
def _chances(sd: float) -> Array:
    chances: Array = special.expit(GRID[:, None] + sd * NODES) @ WEIGHTS / WEIGHTS.sum()
    return chances


def mean(stream: Stream) -> float:
    """Return the share of events."""
    return float(averaged(np.array([stream.base]), float(np.hypot(stream.spread, stream.day)))[0])


def table() -> str:
    """How often each challenger passes, beside what must hold."""
    return "\n".join([*equal(), "", *too_bad()])


def equal() -> Iterator[str]:
    """Yield lines: models that are equal to the champion and right are eligible as fresher."""
    yield "Eligible when truly equal to the champion and right, intent fresher, all rules of the case"
    yield f"{'':44}{'look':>5}{'goal':>8}   eligible"
    for stream, count, goals in (
        (FLIGHTS, 100, (0.6, 0.4, 0.25)),
        (EMPLOYEES, 300, (0.6,)),
        (EMPLOYEES._replace(rows=10_000), 200, (0.8,)),
    ):
        name = f"{stream.case}: {stream.days or 'no'} days, {stream.rows * (stream.days or 1):,} rows"
        rules = policy(stream)
        hits = [
            [judge(seen, rules, "fresher").answer == "eligible" for seen in looks(held, rules, len(goals))]
            for held in drawn(1, stream, count, name)
        ]
        for look, (goal, column) in enumerate(zip(goals, zip(*hits, strict=True), strict=True), 1):
            yield f"{name:44}{look:5}{f'>= {goal}':>8}   {share(column)}"


def too_bad() -> Iterator[str]:
    """Yield lines: models that are worse by just the margin, or off by just the tolerance."""
    yield "Passes its rule although just too bad: at most the alpha of the look may"
    yield f"{'':70}{'look':>5}{'alpha':>8}   passes"
    # Fewer rows a day are as many days.
    for stream, count in ((FLIGHTS._replace(rows=200, parts=()), 500), (EMPLOYEES._replace(parts=()), 1_000)):
        allowed = policy(stream).tolerance
        worse = stream._replace(extra=blurred(stream, allowed.loss))
        yield from passing(worse, count, "improvement", "worse by the tolerance")
        for old, new in ((1, 0.95), (1, 1.05), (0.95, 0.9), (1.05, 0.9)):
            off = stream._replace(observed=(old, new))
            yield from passing(off, count, "calibration", f"O/E {new:g}, the champion's {old:g}")


def passing(stream: Stream, count: int, rule: str, what: str) -> Iterator[str]:
    """Yield a line for each look: how often a rule passes."""
    name = f"{stream.case}, {stream.rows * (stream.days or 1):,} rows, {rule}: {what}"
    rules = policy(stream)
    demand: Rule = getattr(rules.rules, rule)
    hits = [
        [
            all(finding.answer == "pass" for finding in demand.judge(seen, "fresher"))
            for seen in looks(held, rules)
        ]
        for held in drawn(2, stream, count, name)
    ]
    for look, column in enumerate(zip(*hits, strict=True), 1):
        yield f"{name:70}{look:5}{ALPHAS[look - 1]:8.4f}   {share(column)}"


def drawn(seed: int, stream: Stream, count: int, name: str) -> Iterator[Holdout]:
    """Draw holdouts."""
    rng = np.random.default_rng(seed)
    for _ in tqdm(range(count), name, leave=False):
        yield draw(rng, stream)


def looks(held: Holdout, rules: Policy, count: int = len(ALPHAS)) -> Iterator[Evidence]:
    """Yield both models on the rows of a holdout, with the alpha of each look."""
    seen = Evidence(
        BINARY,
        held.y,
        held.blocks,
        Contender("new", held.new),
        (Contender("old", held.old),),
        champion=True,
        mean=held.mean,
        slices=held.slices,
        metric=rules.metric,
        tolerance=rules.tolerance,
        alpha=ALPHAS[0],
    )
    for alpha in ALPHAS[:count]:
        seen.alpha = alpha
        yield seen


@cache
def _policies(name: str) -> Policy:
    params, _ = case(name)
    section = GateSection.model_validate(params.gate)
    rules = section.rules.model_copy(update={"size": None, "latency": None})
    return Policy.of(section.model_copy(update={"rules": rules}), params.tolerance)


def policy(stream: Stream) -> Policy:
    """Return the policy of a stream's case."""
    return _policies(stream.case)


def blurred(stream: Stream, share_lost: float) -> float:
    """Return by how much more the new model must be blurred to lose a share of the dummy's loss."""
    rng = np.random.default_rng(3)
    own, noise = stream.spread * rng.normal(size=100_000), rng.normal(size=100_000)
    truth = averaged(stream.base + own, stream.day)

    def loss(score: Array) -> float:
        return float(-np.mean(truth * np.log(score) + (1 - truth) * np.log1p(-score)))

    allowed = loss(said(stream, own + stream.blur * noise, stream.blur)) + share_lost * loss(
        np.full(len(own), mean(stream))
    )

    def lost(blur: float) -> float:
        return loss(said(stream, own + blur * noise, blur)) - allowed

    return float(optimize.brentq(lost, stream.blur, 5 * stream.spread, xtol=1e-4))


if __name__ == "__main__":
    print(table())
