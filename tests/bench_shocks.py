"""What whole periods that share a shock do to the gate's bounds, and to the intervals of `evaluate`.

Two models are wrong by a constant logit, one to each side, and equally good on the average over all periods:
a good month is a gain for one of them. Fixed seeds, exact 95 % intervals, beside the goals; four minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize, special

from perenne.common import strict_yaml
from perenne.common.block import Block, labels_of
from perenne.common.contract import Contract
from perenne.common.names import PREDICTION
from perenne.common.params import Tolerance
from perenne.common.typed import parse
from perenne.gate.evidence import Contender, Evidence
from perenne.gate.holdout_block import block_of
from perenne.gate.judge import evidence
from perenne.gate.policy import Policy
from perenne.gate.rules import Improvement, Rules
from perenne.stats import bootstrap
from perenne.stats.blocks import block
from perenne.stats.metrics import METRICS
from tests.bench_bounds import share

Generator = np.random.Generator
BASE, SPREAD, LOW = -1.0, 0.8, -0.15  # of the logit; by how much the new model is too low
POLICY = Policy(metric="log_loss", rules=Rules(improvement=Improvement()), tolerance=Tolerance(loss=0))
ALPHA = 0.05


class World(NamedTuple):
    """Periods of so many rows, on thirty days; all rows of one share a shock of this sd, in logits."""

    unit: str
    before: int
    held: int
    rows: int
    sd: float


MONTHS = World("month", 24, 12, 2_000, 0.1)
QUARTERS = World("quarter", 12, 3, 9_500, 0.05)


@cache
def contract(unit: str) -> Contract:
    """Return the contract of rows that know one thing, and say nothing of blocks."""
    text = f"row: one\ntask: binary\nperiod: {unit}\nlabel_delay: 0\ncolumns:\n"
    text += "  seen: {type: datetime, role: time}\n  known: {type: number, role: feature}\n"
    text += "  won: {type: integer, role: target, values: [0, 1]}\n"
    return parse(Contract, strict_yaml.loads(text), "contract.yaml")


@cache
def high(sd: float) -> float:
    """Return the logit by which the old model is too high, for the loss that the new one has."""
    x, weights = np.polynomial.hermite_e.hermegauss(60)
    rate = special.expit(BASE + SPREAD * x[:, None] + sd * x) @ weights / weights.sum()

    def loss(offset: float) -> float:
        logit = BASE + SPREAD * x + offset
        return float(np.average(np.logaddexp(0, logit) - rate * logit, weights=weights))

    best = float(optimize.minimize_scalar(loss, bracket=(-0.1, 0.1)).x)
    return float(optimize.brentq(lambda offset: loss(offset) - loss(LOW), best + 1e-3, 1))


def drawn(rng: Generator, world: World, gain: float = 0.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw rows of validation, predicted by the new model, and those of the holdout."""
    count = world.before + world.held
    periods = pd.period_range("2001-01", periods=count, freq=world.unit[0].upper())
    period = np.repeat(np.arange(count), world.rows)
    part = np.tile(np.arange(world.rows) % 30, count)
    shock = world.sd * rng.normal(size=count)
    known = BASE + SPREAD * rng.normal(size=len(period))
    rows = pd.DataFrame(
        {
            "seen": periods.to_timestamp()[period] + pd.to_timedelta(part, unit="D"),
            "known": known,
            "won": (rng.random(len(period)) < special.expit(known + shock[period] - gain)).astype(np.int64),
            PREDICTION: special.expit(known + LOW),
        }
    )
    edge = world.before * world.rows
    return rows[:edge], rows[edge:].reset_index(drop=True)


def seen(world: World, rows: pd.DataFrame, by: Block, before: Evidence | None) -> Evidence:
    """Return both models on some rows."""
    new, old = (special.expit(rows["known"].to_numpy() + off) for off in (LOW, high(world.sd)))
    return evidence(
        rows,
        contract(world.unit),
        by,
        Contender("new", new),
        [Contender("old", old)],
        champion=True,
        mean=0.3,
        policy=POLICY,
        alpha=ALPHA,
        before=before,
    )


def judged(world: World, runs: int, gain: float = 0.0) -> dict[str, list[bool]]:
    """Judge as the gate does, and as it would if days or rows were blocks: whether the new one is better."""
    rng, found = np.random.default_rng(301), dict[str, list[bool]]()
    for _ in range(runs):
        validated, held = drawn(rng, world, gain)
        ours = block_of(contract(world.unit), held, validated)
        before = seen(world, validated, ours, None) if ours.beside else None
        sides = {
            "the gate": seen(world, held, ours, before),
            "days as blocks": seen(world, held, Block(part="day"), None),
        }
        for name, one in sides.items():
            passed = one.gain(one.opponents[0]).bounds(ALPHA)[0] > 0
            found.setdefault(name, []).append(passed)
    return found


def covered(world: World, runs: int) -> dict[str, list[bool]]:
    """Say whether the interval of observed / expected on validation holds the truth, and with days."""
    rng, found = np.random.default_rng(302), dict[str, list[bool]]()
    x, weights = np.polynomial.hermite_e.hermegauss(60)
    rates = [
        np.average(special.expit(BASE + SPREAD * x[:, None] + sd * x + off), weights=weights, axis=0)
        for sd, off in ((world.sd, 0.0), (0.0, LOW))
    ]
    truth = float(np.average(rates[0], weights=weights) / np.average(rates[1], weights=weights))
    for _ in range(runs):
        rows, _ = drawn(rng, world._replace(held=0))
        y, score = rows["won"].to_numpy(dtype=np.float64), rows[PREDICTION].to_numpy()
        metric = {"ratio": METRICS["observed_expected"].prepare(y, score)}
        ours = block(rows, y - score, contract(world.unit))
        for name, by in (
            ("evaluate", ours),
            ("days as blocks", Block(part="day")),
        ):
            labels = labels_of(rows, contract(world.unit), by)
            each = bootstrap.intervals(metric, labels, events=y, resamples=300, seed=1)["ratio"]
            found.setdefault(name, []).append(each.low <= truth <= each.high)
    return found


def met(rng: Generator, sd: float, days: int) -> pd.DataFrame:
    """Draw how much each of 60 people won on each of some days: people share something, and so do days."""
    who, day = np.tile(np.arange(60), days), np.repeat(np.arange(days), 60)
    shared = sd * (rng.normal(size=60)[who] + rng.normal(size=days)[day])
    when = pd.Timestamp("2001-01-01") + pd.to_timedelta(day, unit="D")
    won = shared + rng.normal(size=len(who))
    return pd.DataFrame({"who": who, "seen": when, "won": won, PREDICTION: 0.1})


@cache
def people() -> Contract:
    """Return the contract of people who are seen on many days."""
    text = "row: one\ntask: regression\nperiod: month\nlabel_delay: 0\ncolumns:\n"
    text += "  who: {type: integer, role: entity}\n  seen: {type: datetime, role: time}\n"
    text += "  other: {type: number, role: feature}\n  won: {type: number, role: target}\n"
    return parse(Contract, strict_yaml.loads(text), "contract.yaml")


def crossed(runs: int, sd: float = 0.3, gain: float = 0.0) -> dict[str, list[bool]]:
    """Judge two models, too high and too low by as much, by people and days, or by one of these alone."""
    rng, found = np.random.default_rng(303), dict[str, list[bool]]()
    for _ in range(runs):
        validated, held = met(rng, sd, 90), met(rng, sd, 60)
        ours = block_of(people(), held, validated)
        for name, by in (
            ("the gate", ours),
            ("one of them as the block", ours.model_copy(update={"also": None})),
        ):
            one = evidence(
                held.assign(won=held["won"] + gain),
                people(),
                by,
                Contender("new", np.full(len(held), 0.1)),
                [Contender("old", np.full(len(held), -0.1))],
                champion=True,
                mean=0.0,
                policy=POLICY.model_copy(update={"metric": "mse"}),
                alpha=ALPHA,
            )
            passed = one.gain(one.opponents[0]).bounds(ALPHA)[0] > 0
            found.setdefault(name, []).append(passed)
    return found


def lines(title: str, found: dict[str, list[bool]], goal: str) -> Iterator[str]:
    """Yield a line for each way to judge."""
    for name, hits in found.items():
        said = goal if name in ("the gate", "evaluate") else "none"
        yield f"{f'{title}: {name}':64}{share(hits):>22}   {said}"


def table(runs: int = 300) -> str:
    """Return all rows as text."""
    text = [f"Whole periods with shocks, at {ALPHA}: equal models found better ({runs} gates)"]
    calm = MONTHS._replace(sd=0.0)
    for name, world in (("12 months, sd .1", MONTHS), ("3 quarters, sd .05", QUARTERS), ("12 months", calm)):
        text += lines(name, judged(world, runs), "<= .05")
    text.append("The same, where months are worth .08 less: the new one is better")
    for name, world in (("12 months, sd .1", MONTHS), ("3 quarters, sd .05", QUARTERS), ("12 months", calm)):
        text += lines(name, judged(world, runs, 0.08), "as often as can be")
    text.append("60 people on 60 days, who share something with themselves and with each other")
    text += lines("equal models", crossed(runs), "<= .05")
    text += lines("without what days and people share", crossed(runs, 0.0), "<= .05")
    text += lines("the new one is better", crossed(runs, gain=0.15), "as often as can be")
    text.append("Intervals of a nominal .95 of observed / expected hold the truth")
    text += lines("24 months, sd .1", covered(MONTHS, runs), ">= .92")
    return "\n".join(text)


if __name__ == "__main__":
    print(table())
