"""Which rows of a batch are alike on matured labels, and by how much that adds to what a stream varies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from perenne.common.block import Block, labels_of
from perenne.common.contract import Contract
from perenne.stats import deviation
from perenne.stats.blocks import Alike
from perenne.stats.deviation import DesignEffect
from perenne.stats.sharing import both, coded
from perenne.watch.streams import Places, Rows, Subject


class Shared(NamedTuple):
    """What makes rows alike, and by how much that adds to the variance of a batch."""

    block: Block
    effect: DesignEffect


def _shared(alike: Alike, parts: Sequence[Rows], errors: Shared | None) -> Shared:
    """How a stream's rows are alike, by its own residuals, and at least as its rows' `errors` have it.

    What makes errors alike makes losses and tails alike as well, but by less than these can show by
    themselves. Of normal errors with a correlation the squares have its square; so much is counted at least.
    """
    means = [rows.residuals.sum() / rows.sizes.sum() if rows.sizes.sum() else 0.0 for rows in parts]
    residual = np.concatenate(
        [rows.residuals - mean * rows.sizes for rows, mean in zip(parts, means, strict=True)]
    )
    block = alike.counted(residual).block
    lent = errors if block.kind == "row" else None
    if lent:
        block = lent.block
    if block.kind == "row":
        return Shared(block, DesignEffect())
    variance = np.concatenate([rows.variances for rows in parts])
    # Only rows of one batch count together.
    blocks, _ = coded(both(alike.groups, labels_of(alike.rows, alike.contract, block)))
    effect = deviation.design_effect(residual, variance, blocks, alike.groups)
    if lent:
        others = float(np.sum(np.bincount(blocks) ** 2) / len(residual) - 1)  # that share a row's block
        least = 1 + (lent.effect.factor - 1) ** 2 / others if others else 1.0
        if effect.factor < least:
            company = deviation.pairs(variance, blocks) / float(variance.sum())
            effect = DesignEffect(least, lent.effect.freedom, company)
    return Shared(block, effect)


def blocks_of(rows: pd.DataFrame, contract: Contract, block: Block) -> Places | None:
    """The number of each row's block among these rows, from 0, shape (rows,); None if each is its own."""
    return None if block.kind == "row" else coded(labels_of(rows, contract, block))[0]


def effects(alike: Alike, parts: Sequence[dict[Subject, Rows]]) -> dict[Subject, Shared]:
    """By what factor the variance of a batch is larger than that of independent rows, by subject.

    Parameters
    ----------
    alike
        The rows of validation, and what they have in common.
    parts
        What the same rows add to each stream, by batch.

    """
    found: dict[Subject, Shared] = {}
    errors: Shared | None = None
    # Errors first: by these the others are alike at least. Of several classes, those of the most alike.
    for subject in sorted(parts[0], key=lambda each: each.rows != "bias"):
        is_error = subject.rows == "bias"
        shared = _shared(alike, [part[subject] for part in parts], None if is_error else errors)
        if is_error and (errors is None or shared.effect.factor > errors.effect.factor):
            errors = shared
        found[subject] = shared
    return found
