"""What is one block in the gate: the same for every model on these rows, and known without their labels.

The contract says it, or else it is measured on the challenger's validation rows, as `evaluate` does it: never
on the holdout, whose labels are sealed. Bounds measure by themselves how much neighbouring days resemble each
other, so here a block is one day, however many `evaluate` takes together.

Where whole periods share something, periods are the blocks of a holdout that has eleven of them. One of three
quarters cannot show how quarters differ, and would be undecided for ever: there days are blocks, and what
whole periods add to each error is measured on validation, between the models that are compared
(:mod:`perenne.stats.shock`).

Who could write `predictions.parquet` by hand could loosen the gate: with rows that share nothing, days are
not blocks. The file is an output in `dvc.lock` like the model, and what protects it is what protects all of
them: `gate` refuses a working tree that differs from the lock, and a review runs the stages of a pull request
again and refuses a lock that does not come out. Where a lock is trusted as it is (`review.trust: lock`), so
is this file. A contract with a block, or with `block: none`, does not depend on it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from perenne.common import periods, predicted
from perenne.common.block import PART, Block, declared, moments
from perenne.common.contract import Contract
from perenne.stats.blocks import Alike, Counted
from perenne.stats.dependence import one_each
from perenne.stats.influence import Influence
from perenne.stats.paired import estimate
from perenne.stats.sharing import coded


def block_of(contract: Contract, holdout: pd.DataFrame, validated: pd.DataFrame | None) -> Block:
    """Return what makes rows of the holdout one block.

    Parameters
    ----------
    contract
        May say it.
    holdout
        Its labels are not read, only when its rows were.
    validated
        The challenger's rows of validation with their predictions. None in a project without the stage
        `evaluate`: then days (hours, ...) are blocks where a period has several, because a block too many
        costs little, and one too few lets equal models through.

    Returns
    -------
    Block
        With a sentence for people.

    """
    if said := declared(contract):
        return said
    if validated is not None:
        found = _suited(_measured(validated, contract), holdout, contract)
        if found.span == 1:
            return found
        why = f"neighbouring {found.part}s resemble each other: each is a block, and counts for less than one"
        return found.single.model_copy(update={"why": "; ".join(filter(None, [why, _beside(found)]))})
    part = PART[contract.period]
    period = periods.of(holdout[contract.time], contract.period, contract.zone)
    missing = "nothing was measured, for lack of predictions on validation"
    if one_each(moments(holdout, contract, part), coded(period)[0]):
        return Block(why=f"{missing}: each row counts by itself")
    return Block(part=part, why=f"{missing}: each {part} is a block")


def _suited(counted: Counted, holdout: pd.DataFrame, contract: Contract) -> Block:
    """Return the block for a holdout: a period where it has enough of them, else the one within."""
    within = counted.within
    if within is None:
        return counted.block
    codes, count = coded(moments(holdout, contract, contract.period), ordered=True)
    nothing = Influence(0.0, np.zeros(len(codes)))
    crossed = within.kind == "columns" or within.also
    if not crossed and not estimate(nothing, codes, count, ordered=True).few:
        return counted.block
    plain = within.why if within.columns or within.part else "each row counts by itself"
    return within.model_copy(update={"why": f"{plain}; {_beside(within)}"})


def _beside(block: Block) -> str:
    """Return for people what is added to errors beside the block; nothing where nothing is."""
    if block.beside is None:
        return ""
    return f"what whole {block.beside}s share is measured on validation, and added"


def _measured(validated: pd.DataFrame, contract: Contract) -> Counted:
    """What residuals ask for: of several classes, those of the class whose rows share most."""
    alike = Alike(validated, contract)
    y, scores = predicted.outcomes(validated, contract), predicted.scores(validated, contract)
    views = predicted.each_class(y, scores, contract).values()
    found = [alike.counted(came - chance, among=len(views)) for came, chance in views]
    return max(found, key=lambda each: each.choice.effect if each.choice else 1.0)
