"""What a model must prove, one class a rule: the docstring is what it asks, the fields are what may be set.

A rule has three answers where two would lie: pass, fail, or undecided and how many blocks would decide. One
that has nothing to compare with yet gives no finding, which is no pass. Where a bound cannot be told (NaN),
no comparison with it holds: that is undecided as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field
from scipy import stats

from perenne.common.typed import Model
from perenne.gate.evidence import Array, Contender, Evidence, Gain
from perenne.stats.metrics import METRICS
from perenne.stats.paired import Estimate

Answer = Literal["pass", "fail", "undecided", "not judged"]
Intent = Literal["better", "fresher"]

WORST_FIRST: Sequence[Answer] = ("fail", "undecided", "pass")
SURE = 0.99  # that the median ratio of latencies is between its bounds; more races are cheap


class Finding(NamedTuple):
    """What one rule says of one comparison: the value with its bounds, and what was needed."""

    rule: str
    against: str
    answer: Answer
    value: float
    low: float
    high: float
    needed: str
    says: str = ""
    more_blocks: float = 0.0  # would decide at the observed effect; infinity if no number would
    parts: tuple[Finding, ...] = ()


class Rule(Model):
    """One demand on the challenger."""

    @property
    def name(self) -> str:
        """What params.yaml calls it."""
        return type(self).__name__.lower()

    def judge(self, evidence: Evidence, intent: Intent) -> Iterator[Finding]:
        """Yield a finding for each comparison it asks for."""
        raise NotImplementedError  # each rule says what it asks for; this one asks nothing


class Floor(Rule):
    """Better than a dummy that always says the mean of the training rows."""

    min_gain: float = Field(default=0, ge=0)

    def judge(self, evidence: Evidence, intent: Intent) -> Iterator[Finding]:  # noqa: ARG002 -- whatever it is
        """One finding, against the dummy."""
        gain = evidence.gain(evidence.dummy)
        yield above(self.min_gain, gain, evidence.alpha, self.name, evidence.dummy.name)


class Improvement(Rule):
    """Better than each opponent by `min_gain`; if it need only be fresher, not worse by `margin`."""

    min_gain: float = Field(default=0, ge=0)
    margin: float = Field(ge=0)

    def judge(self, evidence: Evidence, intent: Intent) -> Iterator[Finding]:
        """One finding for each opponent."""
        threshold = self.min_gain if intent == "better" else -self.margin
        for opponent in evidence.opponents:
            yield above(threshold, evidence.gain(opponent), evidence.alpha, self.name, opponent.name)


class Slices(Rule):
    """Not worse than each opponent by `margin` in any slice of at least `min_blocks` blocks.

    All slices must pass, and for that no correction is due: one that is worse must pass its own test (Berger
    1982, Technometrics 24, 295-300). One that fails rejects the model: failing is corrected for their number.
    """

    margin: float = Field(ge=0)
    min_blocks: int = Field(ge=2)

    def judge(self, evidence: Evidence, intent: Intent) -> Iterator[Finding]:  # noqa: ARG002 -- whatever it is
        """One finding for each opponent: that of the slice that is worst off, and all slices as its parts."""
        for opponent in evidence.opponents if evidence.slices else ():
            parts = tuple(self._parts(evidence, opponent))
            judged = [part for part in parts if part.answer != "not judged"]
            few = len(parts) - len(judged)
            if not judged:
                says = f"none of {few} slices has {self.min_blocks} blocks"
                yield parts[0]._replace(
                    against=opponent.name, answer="undecided", says=says, more_blocks=math.inf, parts=parts
                )
                continue
            worst = min(judged, key=lambda part: (WORST_FIRST.index(part.answer), part.value))
            says = f"worst of {len(judged)} slices: {worst.against}" + f", {worst.says}" * bool(worst.says)
            says += f"; {few} with fewer than {self.min_blocks} blocks not judged" if few else ""
            yield worst._replace(against=opponent.name, says=says, parts=parts)

    def _parts(self, evidence: Evidence, opponent: Contender) -> Iterator[Finding]:
        gains = {name: evidence.gain(opponent, places) for name, places in evidence.slices.items()}
        tests = sum(gain.blocks >= self.min_blocks for gain in gains.values())
        for name, gain in gains.items():
            found = above(-self.margin, gain, evidence.alpha, self.name, name, tests=max(tests, 1))
            if 0 < gain.blocks < self.min_blocks:
                found = found._replace(answer="not judged", says=f"{gain.blocks} blocks")
            elif not gain.blocks:
                found = found._replace(says="no row: take it out of the contract if it is gone for good")
            yield found


class Calibration(Rule):
    """Right in the large: observed / expected within 1 +- `tolerance`; or the bias, in sd of the target."""

    tolerance: float = Field(gt=0)

    def judge(self, evidence: Evidence, intent: Intent) -> Iterator[Finding]:  # noqa: ARG002 -- whatever it is
        """One finding, for the challenger itself."""
        task = evidence.task
        found, best = evidence.measured(task.calibration), METRICS[task.calibration].goal.best
        if task.calibration_in_sd:
            found = in_units(found, float(np.std(evidence.y)))
        low, high = best - self.tolerance, best + self.tolerance
        yield between(low, high, found, evidence.alpha, self.name, task.calibration_title)


class Latency(Rule):
    """Scoring one row takes at most `max_ratio` times as long as the champion takes."""

    max_ratio: float = Field(gt=0)

    def judge(self, evidence: Evidence, intent: Intent) -> Iterator[Finding]:  # noqa: ARG002 -- whatever it is
        """One finding, against the champion."""
        if evidence.champion:
            low, ratio, high = median(evidence.race(evidence.champion))
            yield below(self.max_ratio, ratio, low, high, self.name, evidence.champion.name)


class Size(Rule):
    """The model file is at most `max_ratio` times as large as the champion's."""

    max_ratio: float = Field(gt=0)

    def judge(self, evidence: Evidence, intent: Intent) -> Iterator[Finding]:  # noqa: ARG002 -- whatever it is
        """One finding, against the champion."""
        if evidence.champion:
            old = evidence.champion.size
            ratio = evidence.challenger.size / old if old else math.nan
            yield below(self.max_ratio, ratio, ratio, ratio, self.name, evidence.champion.name)


def in_units(found: Estimate, unit: float) -> Estimate:
    """An estimate in units of something; without one it cannot be told."""
    size = unit or math.nan
    return found._replace(value=found.value / size, error=found.error / size)


def above(threshold: float, gain: Gain, alpha: float, rule: str, against: str, *, tests: int = 1) -> Finding:
    """Whether a gain is proven above a threshold, proven below (one of `tests` that may be), or neither."""
    low, high = gain.bounds(alpha)[0], gain.bounds(alpha / tests)[1]
    answer: Answer = "pass" if low > threshold else "fail" if high < threshold else "undecided"
    more = missing(gain, threshold, alpha) if answer == "undecided" else 0.0
    return Finding(rule, against, answer, gain.value, low, high, f"> {threshold:g}", more_blocks=more)


def between(least: float, most: float, found: Estimate, alpha: float, rule: str, against: str) -> Finding:
    """Whether a value is proven inside two limits, proven outside, or neither (Schuirmann 1987)."""
    low, high = found.bounds(alpha)
    inside, outside = least < low and high < most, high < least or low > most
    answer: Answer = "pass" if inside else "fail" if outside else "undecided"
    nearest = least if found.value < (least + most) / 2 else most
    more = missing(found, nearest, alpha) if answer == "undecided" else 0.0
    needed = f"{least:g} to {most:g}"
    return Finding(rule, against, answer, found.value, low, high, needed, more_blocks=more)


def missing(found: Gain, threshold: float, alpha: float) -> float:
    """How many more blocks would decide; 0 where blocks are not what is missing."""
    more = found.blocks_to_decide(threshold, alpha) - found.blocks
    return 0.0 if math.isnan(more) else max(more, 0.0)


def below(most: float, value: float, low: float, high: float, rule: str, against: str) -> Finding:
    """Whether a ratio is at most a limit, by bounds that do not depend on the holdout."""
    answer: Answer = "pass" if high <= most else "fail" if low > most else "undecided"
    return Finding(rule, against, answer, value, low, high, f"<= {most:g}")


def median(values: Array) -> tuple[float, float, float]:
    """The median between bounds that hold for any distribution: order statistics (Thompson 1936).

    >>> median(np.arange(41.0))
    (11.0, 20.0, 29.0)
    """
    ordered, n = np.sort(values), len(values)
    if n < 2:
        return math.nan, math.nan, math.nan
    outside = int(stats.binom.ppf((1 - SURE) / 2, n, 0.5))
    return float(ordered[outside - 1]), float(np.median(ordered)), float(ordered[n - outside])


class Rules(Model):
    """The rules that are configured; one that is left out asks nothing."""

    floor: Floor | None = None
    improvement: Improvement | None = None
    slices: Slices | None = None
    calibration: Calibration | None = None
    latency: Latency | None = None
    size: Size | None = None

    @property
    def configured(self) -> list[Rule]:
        """In the order of the report."""
        rules = (self.floor, self.improvement, self.slices, self.calibration, self.latency, self.size)
        return [rule for rule in rules if rule]
