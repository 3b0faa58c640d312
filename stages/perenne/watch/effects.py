"""Which rows of a batch are alike on matured labels, and by how much that adds to what a stream varies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from perenne.common.block import Block, labels_of
from perenne.common.contract import Contract
from perenne.stats import deviation
from perenne.stats.blocks import Alike
from perenne.stats.deviation import BlockedRows, DesignEffect
from perenne.stats.metrics import Array
from perenne.stats.sharing import coded
from perenne.watch.streams import Places, Rows, Subject


class Shared(NamedTuple):
    """What makes rows alike, and by how much that adds to the variance of a batch."""

    block: Block
    effect: DesignEffect


class Unexpected(NamedTuple):
    """What rows of one batch have beyond what is expected of them all, and its variance, shape (rows,)."""

    residuals: Array
    variances: Array

    @classmethod
    def of(cls, rows: Rows) -> Unexpected:
        """Of what the rows add to one stream: less what the batch as a whole has."""
        size = rows.sizes.sum()
        mean = rows.residuals.sum() / size if size else 0.0
        return cls(rows.residuals - mean * rows.sizes, rows.variances)


def _shared(alike: Alike, parts: Sequence[Unexpected], errors: Shared | None) -> Shared:
    """How a stream's rows are alike, by its own residuals, and at least as its rows' `errors` have it.

    What makes errors alike makes losses and tails alike as well, but by less than these can show by
    themselves. Of normal errors with a correlation the squares have its square; so much is counted at least.
    """
    block = alike.counted(np.concatenate([each.residuals for each in parts])).block
    lent = errors if block.kind == "row" else None
    if lent:
        block = lent.block
    if block.kind == "row":
        return Shared(block, DesignEffect())
    groups = list(_groups(alike, parts, block))
    effect = deviation.design_effect(groups)
    if lent:
        rows = sum(len(each.blocks) for each in groups)
        # That share a row's block.
        others = sum(float(np.sum(np.bincount(each.blocks) ** 2)) for each in groups) / rows - 1
        least = 1 + (lent.effect.factor - 1) ** 2 / others if others else 1.0
        if effect.factor < least:
            products = sum(deviation.pairs(each.variances, each.blocks) for each in groups)
            company = products / sum(float(each.variances.sum()) for each in groups)
            effect = DesignEffect(least, lent.effect.freedom, company)
    return Shared(block, effect)


def _groups(alike: Alike, parts: Sequence[Unexpected], block: Block) -> Iterator[BlockedRows]:
    """The rows of each batch with the numbers of their blocks: only rows of one batch count together."""
    end = 0
    for residuals, variances in parts:
        begin, end = end, end + len(residuals)
        labels = labels_of(alike.rows.iloc[begin:end], alike.contract, block)
        yield BlockedRows(residuals, variances, coded(labels)[0])


def blocks_of(rows: pd.DataFrame, contract: Contract, block: Block) -> Places | None:
    """The number of each row's block among these rows, from 0, shape (rows,); None if each is its own."""
    return None if block.kind == "row" else coded(labels_of(rows, contract, block))[0]


def effects(alike: Alike, parts: dict[Subject, list[Unexpected]]) -> dict[Subject, Shared]:
    """By what factor the variance of a batch is larger than that of independent rows, by subject.

    Parameters
    ----------
    alike
        The rows of validation, and what they have in common.
    parts
        What the same rows have beyond what is expected, by subject and batch. It is emptied: of many rows it
        is large.

    """
    found: dict[Subject, Shared] = {}
    errors: Shared | None = None
    # Errors first: by these the others are alike at least. Of several classes, those of the most alike.
    for subject in sorted(parts, key=lambda each: each.rows != "bias"):
        is_error = subject.rows == "bias"
        shared = _shared(alike, parts.pop(subject), None if is_error else errors)
        if is_error and (errors is None or shared.effect.factor > errors.effect.factor):
            errors = shared
        found[subject] = shared
    return found
