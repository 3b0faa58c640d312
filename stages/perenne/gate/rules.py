"""What a model must prove: one class per rule. Its docstring is the demand, its fields are its settings.

A rule has three answers: pass, fail, or undecided, with the number of blocks that would decide. A rule that
has nothing to compare with yet has no finding, and that does not count as a pass. Where a bound is undefined
(NaN), the answer is undecided.

To add a rule: write its class here, and add a field of that type, under the name of the class in lower case,
to `Rules` at the end. The field order is the order of the report.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from pydantic import Field
from scipy import stats

from perenne.common.typed import Model
from perenne.documents.verdict import Intent, RuleAnswer
from perenne.gate.evidence import Array, Contender, Evidence, Gain
from perenne.stats.metrics import METRICS
from perenne.stats.paired import Estimate

WORST_FIRST: Sequence[RuleAnswer] = ("fail", "undecided", "pass")
SURE = 0.99  # confidence of the bounds of the median latency ratio; more races are cheap


class Finding(NamedTuple):
    """The answer of one rule to one comparison: the value with its bounds, and what was needed.

    `more_blocks` would decide at the observed effect; infinity if no number would. `parts` are the findings
    that this one sums up.
    """

    rule: str
    against: str
    answer: RuleAnswer
    value: float
    low: float
    high: float
    needed: str
    says: str = ""
    more_blocks: float = 0.0
    parts: tuple[Finding, ...] = ()


class Rule(Model):
    """A demand on the challenger."""

    @property
    def name(self) -> str:
        """The name in params.yaml."""
        return type(self).__name__.lower()

    def judge(self, evidence: Evidence, intent: Intent) -> Iterator[Finding]:
        """Yield a finding for each comparison; nothing where there is nothing to compare with.

        Parameters
        ----------
        evidence
            The models' scores on the rows of the holdout, and the alpha of each one-sided bound.
        intent
            `better` or `fresher`; only `Improvement` depends on it.

        """
        raise NotImplementedError  # every rule has its own


class Floor(Rule):
    """Better than a dummy that always predicts the mean of the training rows."""

    min_gain: float = Field(default=0, ge=0)

    def judge(self, evidence: Evidence, intent: Intent) -> Iterator[Finding]:  # noqa: ARG002 -- the same for both intents
        """One finding, against the dummy."""
        gain = evidence.gain(evidence.dummy)
        yield above(self.min_gain, gain, evidence.alpha, self.name, evidence.dummy.name)


class Improvement(Rule):
    """Better than each opponent by `min_gain`; with intent `fresher`, not worse by `margin`."""

    min_gain: float = Field(default=0, ge=0)
    margin: float = Field(ge=0)

    def judge(self, evidence: Evidence, intent: Intent) -> Iterator[Finding]:
        """One finding for each opponent."""
        threshold = self.min_gain if intent == "better" else -self.margin
        for opponent in evidence.opponents:
            yield above(threshold, evidence.gain(opponent), evidence.alpha, self.name, opponent.name)


class Slices(Rule):
    """Not worse than each opponent by `margin` in any slice of at least `min_blocks` blocks.

    All slices must pass, so passing needs no correction for their number (intersection-union test: Berger
    1982, Technometrics 24, 295-300). One failing slice rejects the model, so failing is corrected for it.
    """

    margin: float = Field(ge=0)
    min_blocks: int = Field(ge=2)

    def judge(self, evidence: Evidence, intent: Intent) -> Iterator[Finding]:  # noqa: ARG002 -- the same for both intents
        """One finding for each opponent: that of its worst slice, with all slices as parts."""
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
            part = above(-self.margin, gain, evidence.alpha, self.name, name, tests=max(tests, 1))
            if 0 < gain.blocks < self.min_blocks:
                part = part._replace(answer="not judged", says=f"{gain.blocks} blocks")
            elif not gain.blocks:
                part = part._replace(says="no row: take it out of the contract if it is gone for good")
            yield part


class Calibration(Rule):
    """Calibrated in the large: observed / expected within 1 +- `tolerance`; a regression: |bias| / sd."""

    tolerance: float = Field(gt=0)

    def judge(self, evidence: Evidence, intent: Intent) -> Iterator[Finding]:  # noqa: ARG002 -- the same for both intents
        """One finding, for the challenger itself."""
        task = evidence.task
        estimate, best = evidence.measured(task.calibration), METRICS[task.calibration].goal.best
        if task.calibration_in_sd:
            estimate = in_units(estimate, float(np.std(evidence.y)))
        low, high = best - self.tolerance, best + self.tolerance
        yield between(low, high, estimate, evidence.alpha, self.name, task.calibration_title)


class Latency(Rule):
    """Scoring one row takes at most `max_ratio` times as long as the champion."""

    max_ratio: float = Field(gt=0)

    def judge(self, evidence: Evidence, intent: Intent) -> Iterator[Finding]:  # noqa: ARG002 -- the same for both intents
        """One finding, against the champion."""
        if evidence.champion:
            low, ratio, high = median(evidence.race(evidence.champion))
            yield below(self.max_ratio, ratio, low, high, self.name, evidence.champion.name)


class Size(Rule):
    """The model file is at most `max_ratio` times as large as the champion's."""

    max_ratio: float = Field(gt=0)

    def judge(self, evidence: Evidence, intent: Intent) -> Iterator[Finding]:  # noqa: ARG002 -- the same for both intents
        """One finding, against the champion."""
        if evidence.champion:
            old = evidence.champion.size
            ratio = evidence.challenger.size / old if old else math.nan
            yield below(self.max_ratio, ratio, ratio, ratio, self.name, evidence.champion.name)


def in_units(estimate: Estimate, unit: float) -> Estimate:
    """Return an estimate in other units; NaN for a unit of 0."""
    size = unit or math.nan
    return estimate._replace(value=estimate.value / size, error=estimate.error / size)


def above(threshold: float, gain: Gain, alpha: float, rule: str, against: str, *, tests: int = 1) -> Finding:
    """Return whether a gain is proven above a threshold, proven below (corrected for `tests`), or neither.

    Parameters
    ----------
    threshold
        In the unit of the gain; below 0 it is the loss that is allowed.
    gain
        Of the challenger over an opponent.
    alpha
        Of each one-sided bound.
    rule, against
        The names in the finding.
    tests
        Over how many tests alpha is divided for the upper bound. The lower bound is not corrected.

    Returns
    -------
    Finding
        `pass` if the lower bound is above the threshold, `fail` if the upper bound is below it, else
        `undecided`.

    """
    low, high = gain.bounds(alpha)[0], gain.bounds(alpha / tests)[1]
    answer: RuleAnswer = "pass" if low > threshold else "fail" if high < threshold else "undecided"
    more = missing(gain, threshold, alpha) if answer == "undecided" else 0.0
    return Finding(rule, against, answer, gain.value, low, high, f"> {threshold:g}", more_blocks=more)


def between(least: float, most: float, estimate: Estimate, alpha: float, rule: str, against: str) -> Finding:
    """Return whether a value is proven inside two limits, proven outside, or neither (Schuirmann 1987).

    Parameters
    ----------
    least, most
        The limits, in the unit of the estimate.
    estimate
        The value with its standard error.
    alpha
        Of each one-sided bound.
    rule, against
        The names in the finding.

    """
    low, high = estimate.bounds(alpha)
    inside, outside = least < low and high < most, high < least or low > most
    answer: RuleAnswer = "pass" if inside else "fail" if outside else "undecided"
    nearest = least if estimate.value < (least + most) / 2 else most
    more = missing(estimate, nearest, alpha) if answer == "undecided" else 0.0
    needed = f"{least:g} to {most:g}"
    return Finding(rule, against, answer, estimate.value, low, high, needed, more_blocks=more)


def missing(gain: Gain, threshold: float, alpha: float) -> float:
    """Return how many more blocks would decide; 0 where blocks are not what is missing.

    Parameters
    ----------
    gain
        An estimate, with the number of its blocks.
    threshold
        The value that a bound must pass, in the unit of the gain.
    alpha
        Of each one-sided bound.

    Returns
    -------
    float
        Infinity if no number of blocks would decide.

    """
    more = gain.blocks_to_decide(threshold, alpha) - gain.blocks
    return 0.0 if math.isnan(more) else max(more, 0.0)


def below(most: float, value: float, low: float, high: float, rule: str, against: str) -> Finding:
    """Return whether a ratio is at most a limit, by bounds that do not depend on the holdout.

    Parameters
    ----------
    most
        The limit.
    value
        The ratio.
    low, high
        Its bounds; both are the ratio itself where it is known exactly.
    rule, against
        The names in the finding.

    Returns
    -------
    Finding
        `pass` if the upper bound is at most the limit, `fail` if the lower bound is above it, else
        `undecided`.

    """
    answer: RuleAnswer = "pass" if high <= most else "fail" if low > most else "undecided"
    return Finding(rule, against, answer, value, low, high, f"<= {most:g}")


def median(values: Array) -> tuple[float, float, float]:
    """Return the median between distribution-free bounds from order statistics (Thompson 1936).

    The bounds hold with probability `SURE`; NaN for fewer than two values.

    Parameters
    ----------
    values
        Shape (n,). From 2 to 7 values are too few for bounds at `SURE`.

    Returns
    -------
    tuple of float
        The lower bound, the median, the upper bound.

    Examples
    --------
    >>> median(np.arange(41.0))
    (11.0, 20.0, 29.0)

    """
    ordered, n = np.sort(values), len(values)
    if n < 2:
        return math.nan, math.nan, math.nan
    outside = int(stats.binom.ppf((1 - SURE) / 2, n, 0.5))
    return float(ordered[outside - 1]), float(np.median(ordered)), float(ordered[n - outside])


class Rules(Model):
    """The rules of a policy, in the order of the report; a rule that is left out is not applied."""

    floor: Floor | None = None
    improvement: Improvement | None = None
    slices: Slices | None = None
    calibration: Calibration | None = None
    latency: Latency | None = None
    size: Size | None = None

    @property
    def configured(self) -> list[Rule]:
        """The rules that are to be applied, in the order of the report."""
        rules = (getattr(self, name) for name in type(self).model_fields)
        return [rule for rule in rules if rule is not None]
