"""Which rows are a block: what residuals of validation rows ask for.

Everything takes one residual a row, such as ``y - score`` of predictions on validation rows. What two models
differ by in loss shares less than residuals do, so blocks that suit these suit it as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from perenne.stats.memory import Neighbours, Whole, neighbours
from perenne.stats.metrics import Array
from perenne.stats.sharing import FEWEST, Codes, Sharing, both, coded, different, sharing

LEVEL = 0.04  # the chance that independent rows get a block: nominal, for .05 as simulated
HARMFUL = (
    1.1  # design effect: below, bounds are less than 5 % too narrow, and a block costs more than it mends
)
CAUGHT = 0.8  # of the variance of a long mean, that a block of several days must see


class Choice(NamedTuple):
    """The block that the figures ask for, the figures, and one sentence for people.

    `label` is a name of the labels that were measured; None: rows are blocks. A block is `span` of them in a
    row: 1 unless it is the day, and neighbours resemble each other. `effect` is its design effect.
    """

    label: str | None
    span: int
    sharing: Mapping[str, Sharing]
    neighbours: Neighbours | None
    sentence: str
    effect: float = 1.0


def choose(
    residuals: Array,
    labels: Mapping[str, npt.ArrayLike],
    groups: npt.ArrayLike,
    *,
    days: Whole | None = None,
    part: str = "day",
    among: int = 1,
    further: int = 0,
) -> Choice:
    """Return the block that the residuals of validation rows ask for.

    A label is chosen if its design effect is above 1.1, and if independent rows would show such a one with a
    chance of .05 over the number of questions: one for each label, one for the days, one for neighbours. Of
    several the one with the largest effect is chosen. So independent rows get a block in at most 5 % of all
    cases.

    Parameters
    ----------
    residuals
        Shape (rows,), such as observed less predicted, out of the training folds.
    labels
        Name -> label of each row, shape (rows,): who or what may make rows alike, such as employees.
    groups
        Within which residuals are centred (periods), shape (rows,).
    days
        The number of each row's day (or hour, ...), shape (rows,): those of neighbours differ by 1. None if
        a period is not cut further.
    part
        What `days` are called.
    among
        Of how many kinds of residuals (one for each class) these are one: each gets its share of the .05.
    further
        How many more questions the caller has, such as :func:`whole_periods`.

    Returns
    -------
    Choice
        What was measured and what follows from it.

    Raises
    ------
    ValueError
        If the shapes differ, or a residual is not finite.

    """
    group, _ = coded(np.asarray(groups))
    shared = {name: sharing(residuals, each, group) for name, each in labels.items()}
    beside = None
    if days is not None and not one_each(days, group):
        shared |= {part: sharing(residuals, days, group)}
        beside = neighbours(residuals, days, group)
    pvalues = [each.p for each in shared.values()] + ([beside.p] if beside else [])
    pvalues = [p for p in pvalues if not math.isnan(p)]
    level = LEVEL / max(len(pvalues) + further, 1) / among
    found = _harmful(shared, level)
    alike = beside if beside and beside.p < level and beside.effect > HARMFUL else None
    if alike:
        found[part] = alike.effect * max(found.get(part, 1), 1)
    label = max(found, key=lambda name: found[name], default=None)
    span = _span(alike) if alike and label == part else 1
    why = _sentence(label, span, shared, beside, part, len(pvalues))
    return Choice(label, span, shared, beside, why, found[label] if label else 1.0)


def whole_periods(
    residuals: Array, periods: Whole, choice: Choice, blocks: Whole, *, among: int = 1
) -> tuple[Sharing, bool]:
    """Return how much rows of one period share that are of different blocks, and whether that is harmful.

    Only here are residuals not centred in each period: what a whole period has, such as a cold month, moves
    them all. Blocks of several days miss a fifth of what neighbours share, and periods see it: where days
    have an autocorrelation of .5 or .7, 24 months are taken for blocks in .07 and .15 of all cases.

    Parameters
    ----------
    residuals
        As for :func:`choose`.
    periods
        The number of each row's period, shape (rows,).
    choice
        From :func:`choose`, with this as the one further question.
    blocks
        The number of each row's block, as chosen, shape (rows,).
    among
        As for :func:`choose`.

    Returns
    -------
    found : Sharing
        Of periods, beyond what blocks share; NaN with fewer than ten periods.
    harmful : bool
        By the level that :func:`choose` has for each of its questions.

    """
    found = across(residuals, periods, blocks)
    asked = [each.p for each in choice.sharing.values()]
    asked += [choice.neighbours.p] if choice.neighbours else []
    questions = sum(not math.isnan(p) for p in asked) + 1
    return found, found.p < LEVEL / questions / among and found.effect > HARMFUL


def across(values: Array, labels: Whole, blocks: Whole) -> Sharing:
    """Return how much rows with one label share that are of different blocks.

    Parameters
    ----------
    values
        Shape (rows,).
    labels, blocks
        The label and the block of each row, shape (rows,).

    """
    # Rows of one block with one label are one here: what they share is no news.
    cells, count = coded(both(blocks, labels))
    sums: Array = np.bincount(cells, values, minlength=count).astype(np.float64)
    _, first = np.unique(cells, return_index=True)
    return sharing(sums, labels[first], np.zeros(count))


def harmful(shared: Mapping[str, Sharing], among: int = 1) -> str | None:
    """Return the label whose rows share most, as :func:`choose` does by these figures alone."""
    asked = sum(not math.isnan(each.p) for each in shared.values())
    found = _harmful(shared, LEVEL / max(asked, 1) / among)
    return max(found, key=lambda name: found[name], default=None)


def _harmful(shared: Mapping[str, Sharing], level: float) -> dict[str, float]:
    return {name: each.effect for name, each in shared.items() if each.p < level and each.effect > HARMFUL}


def one_each(days: Whole, groups: Codes) -> bool:
    """Return whether a group has but one day: then what days share is what groups share."""
    return different(groups, days) < 2 * different(groups)


def _span(alike: Neighbours) -> int:
    """Return how many days make a block that sees most of the variance of a long mean."""
    # Of that variance a block of b days misses 2 autocorrelation / ((1 - decay)^2 effect b), nearly.
    missed = 2 * alike.autocorrelation / ((1 - alike.decay) ** 2 * alike.effect)
    needed = math.ceil(missed / (1 - CAUGHT))
    return max(1, min(needed, alike.days // FEWEST))  # ten blocks must remain


def _sentence(
    label: str | None,
    span: int,
    shared: Mapping[str, Sharing],
    beside: Neighbours | None,
    part: str,
    questions: int,
) -> str:
    if not questions:
        return "too few rows share anything to tell whether they are independent: each counts by itself"
    if label is None:
        asked = " or ".join(name for name, each in shared.items() if not math.isnan(each.p))
        alike = f"rows of one {asked}" if asked else f"neighbouring {part}s"  # each is a row then
        return f"{alike} share nothing that can be told from chance: each counts by itself"
    blocks = f"{span} {part}s in a row are a block" if span > 1 else f"each {label} is a block"
    parts = []
    if label in shared and shared[label].effect > HARMFUL:
        found = shared[label]
        parts.append(
            f"rows of one {label} share {found.correlation:.2g} of their variance "
            f"(design effect {found.effect:.2g})"
        )
    if beside and (span > 1 or not parts):
        parts.append(
            f"neighbouring {part}s resemble each other (autocorrelation {beside.autocorrelation:.2g})"
        )
    return f"{' and '.join(parts)}: {blocks}"
