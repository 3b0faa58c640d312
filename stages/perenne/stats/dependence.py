"""Which rows are a block: what the contract says, or what residuals of validation rows ask for.

Everything takes one residual a row, such as ``y - score`` of predictions on validation rows. What two models
differ by in loss shares less than residuals do, so blocks that suit these suit it as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy.typing as npt
import pandas as pd

from perenne.common import periods
from perenne.common.block import PART, Block, declared, labels_of, moments, ordered
from perenne.common.contract import Contract
from perenne.stats.memory import Neighbours, Whole, neighbours
from perenne.stats.metrics import Array
from perenne.stats.sharing import FEWEST, Sharing, coded, sharing

LEVEL = 0.04  # the chance that independent rows get a block: nominal, for .05 as simulated
HARMFUL = (
    1.1  # design effect: below, bounds are less than 5 % too narrow, and a block costs more than it mends
)
CAUGHT = 0.8  # of the variance of a long mean, that a block of several days must see


class Choice(NamedTuple):
    """The block that the figures ask for, the figures, and one sentence for people.

    `label` is a name of the labels that were measured; None: rows are blocks. A block is `span` of them in a
    row: 1 unless it is the day, and neighbours resemble each other.
    """

    label: str | None
    span: int
    sharing: Mapping[str, Sharing]
    neighbours: Neighbours | None
    sentence: str


def choose(
    residuals: Array,
    labels: Mapping[str, npt.ArrayLike],
    groups: npt.ArrayLike,
    *,
    days: Whole | None = None,
    part: str = "day",
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

    Returns
    -------
    Choice
        What was measured and what follows from it.

    Raises
    ------
    ValueError
        If the shapes differ, or a residual is not finite.

    """
    shared = {name: sharing(residuals, each, groups) for name, each in labels.items()}
    beside = None
    if days is not None and not _one_each(days, groups):
        shared |= {part: sharing(residuals, days, groups)}
        beside = neighbours(residuals, days, groups)
    pvalues = [each.p for each in shared.values()] + ([beside.p] if beside else [])
    pvalues = [p for p in pvalues if not math.isnan(p)]
    level = LEVEL / max(len(pvalues), 1)
    found = {name: each.effect for name, each in shared.items() if each.p < level and each.effect > HARMFUL}
    alike = beside if beside and beside.p < level and beside.effect > HARMFUL else None
    if alike:
        found[part] = alike.effect * max(found.get(part, 1), 1)
    label = max(found, key=lambda name: found[name], default=None)
    span = _span(alike) if alike and label == part else 1
    return Choice(label, span, shared, beside, _sentence(label, span, shared, beside, part, len(pvalues)))


def block(rows: pd.DataFrame, residuals: Array, contract: Contract) -> Block:
    """Return what makes rows one block: what the contract says, or else what the residuals ask for.

    Asked are the entity (its columns together, and each that is no feature), the next unit below the period
    (:data:`perenne.common.block.PART`), and neighbours of that unit. For a block that the contract names and
    that is a time, only how much neighbours resemble each other is measured.

    Parameters
    ----------
    rows
        Of validation: labelled rows of the contract, scored by models that were not trained on them.
    residuals
        Of these rows, such as observed less predicted, shape (rows,).
    contract
        Names the time, the entity and perhaps the block.

    Returns
    -------
    Block
        With a sentence for people.

    Raises
    ------
    ValueError
        If not every row has a residual.

    """
    groups = coded(periods.of(rows[contract.time], contract.period, contract.zone).to_numpy())
    said = declared(contract)
    if said:
        if not ordered(contract, said):
            return said
        return _with(said, neighbours(residuals, labels_of(rows, contract, said), groups))
    part = PART[contract.period]
    entities = {
        " and ".join(columns): labels_of(rows, contract, Block(columns=columns))
        for columns in _entities(contract)
    }
    choice = choose(residuals, entities, groups, days=moments(rows, contract, part), part=part)
    found = Block(why=choice.sentence)
    if choice.label == part:
        timed = found.model_copy(update={"part": part, "span": choice.span})
        return _with(timed, choice.neighbours) if choice.neighbours else timed
    columns = next((each for each in _entities(contract) if " and ".join(each) == choice.label), ())
    return found.model_copy(update={"columns": columns})


def _with(timed: Block, beside: Neighbours) -> Block:
    if math.isnan(beside.autocorrelation):
        return timed
    measured = {"autocorrelation": beside.autocorrelation, "measured_on": beside.days}
    return Block.model_validate(timed.model_dump() | measured)


def _entities(contract: Contract) -> list[tuple[str, ...]]:
    """Return the columns of the entity together, and each that the model does not see."""
    single = [(name,) for name in contract.entity if name not in contract.features]
    whole = tuple(contract.entity)
    return ([whole] if whole and whole not in single else []) + single


def _one_each(days: Whole, groups: npt.ArrayLike) -> bool:
    """Return whether a group has but one day: then what days share is what groups share."""
    pairs = pd.DataFrame({"day": days, "group": coded(groups)}).drop_duplicates()
    return len(pairs) < 2 * pairs["group"].nunique()


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
        return (
            f"rows of one {asked or part} share nothing that can be told from chance: each counts by itself"
        )
    blocks = f"{span} {part}s in a row are a block" if span > 1 else f"each {label} is a block"
    parts = []
    if label in shared and shared[label].effect > HARMFUL:
        parts.append(f"rows of one {label} share {shared[label].correlation:.2g} of their variance")
    if span > 1 and beside:
        parts.append(
            f"neighbouring {part}s resemble each other (autocorrelation {beside.autocorrelation:.2g})"
        )
    return f"{' and '.join(parts)}: {blocks}"
