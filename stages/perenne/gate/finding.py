"""What a rule finds: whether a value is proven on one side of a limit, on the other, or neither."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from perenne.documents.verdict import RuleAnswer
from perenne.gate.evidence import Gain
from perenne.stats.paired import Estimate

WORST_FIRST: Sequence[RuleAnswer] = ("fail", "undecided", "pass")
MOST_TIMES = 10  # as many blocks as the holdout has: nobody waits for more


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
        `undecided`, with a sentence if there are too few blocks for any bound.

    """
    low, high = gain.bounds(alpha)[0], gain.bounds(alpha / tests)[1]
    answer: RuleAnswer = "pass" if low > threshold else "fail" if high < threshold else "undecided"
    more = missing(gain, threshold, alpha) if answer == "undecided" else 0.0
    needed = f"> {threshold:g}"
    return Finding(rule, against, answer, gain.value, low, high, needed, says=gain.few, more_blocks=more)


def between(
    least: float, most: float, estimate: Estimate, alpha: float, rule: str, against: str, *, tests: int = 1
) -> Finding:
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
    tests
        Over how many tests alpha is divided where the value is proven outside.

    """
    low, high = estimate.bounds(alpha)
    lowest, highest = estimate.bounds(alpha / tests)
    inside, outside = least < low and high < most, highest < least or lowest > most
    answer: RuleAnswer = "pass" if inside else "fail" if outside else "undecided"
    nearest = least if estimate.value < (least + most) / 2 else most
    more = missing(estimate, nearest, alpha) if answer == "undecided" else 0.0
    needed, few = f"{least:g} to {most:g}", estimate.few
    return Finding(rule, against, answer, estimate.value, low, high, needed, says=few, more_blocks=more)


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
        `pass` if the upper bound is at most the limit, `fail` if the lower bound is not below it, else
        `undecided`.

    """
    answer: RuleAnswer = "pass" if high <= most else "fail" if low >= most else "undecided"
    return Finding(rule, against, answer, value, low, high, f"<= {most:g}")
