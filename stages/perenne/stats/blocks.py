"""Which rows are a block: what the contract says, or else what residuals of validation rows ask for.

Asked are the entity (its columns together, and each that is no feature), the next unit below the period
(:data:`perenne.common.block.PART`), neighbours of that unit, and the period itself where there are ten: a
cold month moves all of its rows. Where the contract names a block, it counts, and only what it misses is
measured: how much its neighbours resemble each other if it is a time, and what rows share that are of
different blocks. `block: none` is an answer as well: nothing is measured then.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from perenne.common import periods
from perenne.common.block import PART, Block, declared, labels_of, moments, ordered
from perenne.common.contract import Contract
from perenne.stats import dependence
from perenne.stats.dependence import Choice, one_each
from perenne.stats.memory import Whole
from perenne.stats.metrics import Array
from perenne.stats.sharing import FEWEST, both, centred, coded, different


class Counted(NamedTuple):
    """The block that counts, what was measured (None: nothing), and a line for people, empty if all is well.

    The block is `choice`'s own unless the contract names one. `within` is the block beside which whole
    periods share something: the block itself, or a smaller one where the period is the block; None if they
    share nothing more.
    """

    block: Block
    choice: Choice | None
    line: str
    within: Block | None = None


class Alike:
    """Labelled rows whose dependence is measured, on one kind of residual after another.

    Parameters
    ----------
    rows
        Of the contract, scored by models that were not trained on them.
    contract
        Names the time, the entity and perhaps the block.
    within
        Whether only rows of one period count as alike: for those who judge one period at a time.

    """

    def __init__(self, rows: pd.DataFrame, contract: Contract, *, within: bool = False) -> None:
        self.rows, self.contract, self.part = rows, contract, PART[contract.period]
        self.groups, periods_ = coded(periods.of(rows[contract.time], contract.period, contract.zone))
        self.within = within
        self.whole = not within and periods_ >= FEWEST
        self.said = declared(contract)
        self.blocks = labels_of(rows, contract, self.said) if contract.block and self.said else None
        self.columns: dict[str, tuple[str, ...]] = {}
        self.days: Whole | None = None
        self.labels: dict[str, Whole] = {}
        if contract.independent or (self.said and ordered(contract, self.said)):
            return
        self.columns = {" and ".join(columns): columns for columns in _entities(contract)}
        labels = {name: labels_of(rows, contract, Block(columns=each)) for name, each in self.columns.items()}
        self.days = moments(rows, contract, self.part)
        if self.blocks is not None:
            # What all rows of a block share is no news.
            labels = {name: each for name, each in labels.items() if not _nested(each, self.blocks)}
        self.labels = {name: both(self.groups, each) if within else each for name, each in labels.items()}

    def counted(self, residuals: Array, *, among: int = 1) -> Counted:
        """Return the block that counts: the contract's, or else the one that the residuals ask for.

        Parameters
        ----------
        residuals
            Such as observed less predicted, shape (rows,).
        among
            Of how many kinds of residuals (one for each class) these are one.

        Raises
        ------
        ValueError
            If not every row has a residual.

        """
        if self.said is None:
            return self._chosen(residuals, among)
        if self.blocks is None:
            return Counted(self.said, None, "")
        if ordered(self.contract, self.said):
            return self._timed(self.said, self.blocks, residuals, among)
        return self._missed(self.said, self.blocks, residuals, among)

    def _chosen(self, residuals: Array, among: int) -> Counted:
        """Return the block that the figures ask for."""
        choice = dependence.choose(
            residuals,
            self.labels,
            self.groups,
            days=self.days,
            part=self.part,
            among=among,
            further=int(self.whole),
        )
        found = Block(why=choice.sentence)
        if choice.label == self.part:
            found = found.model_copy(update={"part": self.part, "span": choice.span})
        elif choice.label:
            found = found.model_copy(update={"columns": self.columns[choice.label]})
        if choice.label and not self.within:
            found = self._crossed(found, choice, residuals, among)
        counted = Counted(found, choice, found.why if choice.label else "")
        if self.whole:
            counted = self._shocked(counted, choice, residuals, among)
        answers = "to answer in the contract, give a column the role `block`, or write `block: none`"
        return counted._replace(line=f"{counted.line}; {answers}") if counted.line else counted

    def _crossed(self, found: Block, choice: Choice, residuals: Array, among: int) -> Block:
        """Return the block, with what else rows of different blocks share, if that is harmful."""
        blocks = labels_of(self.rows, self.contract, found)
        asked = {name: each for name, each in self.labels.items() if name != choice.label}
        if self.days is not None and self.part in choice.sharing and choice.label != self.part:
            asked[self.part] = self.days
        values = centred(residuals, self.groups)
        shared = {
            name: dependence.across(values, each, blocks)
            for name, each in asked.items()
            if not (_nested(each, blocks) or _nested(blocks, each))
        }
        name = dependence.harmful(shared, among)
        if name is None:
            return found
        also = Block(part=self.part) if name == self.part else Block(columns=self.columns[name])
        return found.model_copy(
            update={"also": also, "why": f"{found.why}; rows of one {name} share something as well"}
        )

    def _shocked(self, counted: Counted, choice: Choice, residuals: Array, among: int) -> Counted:
        """Return the block that counts where whole periods may share something, too."""
        unit, fine = self.contract.period, counted.block
        blocks = labels_of(self.rows, self.contract, finest(self.contract, fine))
        found, harmful = dependence.whole_periods(residuals, self.groups, choice, blocks, among=among)
        shared = {**choice.sharing, unit: found}
        if not harmful:
            return counted._replace(choice=choice._replace(sharing=shared))
        within = fine.model_copy(update={"beside": unit})
        crossed = fine.kind == "columns" and choice.effect >= found.effect
        why = f"rows of one {unit} share something (design effect {found.effect:.2g})"
        if crossed:
            line = f"{fine.why}; {why} as well: intervals are too narrow"
            return Counted(within, choice._replace(sharing=shared), line, within)
        why = f"{why}: each {unit} is a block"
        choice = Choice(unit, 1, shared, choice.neighbours, why, found.effect)
        return Counted(Block(part=unit, why=why), choice, why, within)

    def _timed(self, said: Block, labels: Whole, residuals: Array, among: int) -> Counted:
        """Return the contract's days, or so many in a row as their resemblance asks for."""
        choice = dependence.choose(residuals, {}, self.groups, days=labels, part=said.columns[0], among=among)
        found = said.model_copy(update={"span": choice.span})
        return Counted(found, choice, choice.sentence if choice.span > 1 else "")

    def _missed(self, said: Block, labels: Whole, residuals: Array, among: int) -> Counted:
        """Return the contract's block; if rows of different blocks share something, a line says what."""
        values = centred(residuals, self.groups)
        asked = dict(self.labels)
        if self.days is not None and not (_nested(self.days, labels) or one_each(self.days, self.groups)):
            asked[self.part] = self.days
        shared = {name: dependence.across(values, each, labels) for name, each in asked.items()}
        label = dependence.harmful(shared, among)
        if label is None:
            return Counted(said, Choice(label, 1, shared, None, said.why), "")
        effect, name = shared[label].effect, said.columns[0]
        choice = Choice(label, 1, shared, None, said.why, effect)
        missed = f"rows of one {label} are alike (design effect {effect:.2g}) even if they differ in {name}"
        answer = f"give a column of the {label} the role `block`"
        return Counted(said, choice, f"{missed}: intervals are too narrow; {answer}")


def block(rows: pd.DataFrame, residuals: Array, contract: Contract) -> Block:
    """Return what makes rows one block, as :meth:`Alike.counted` finds it."""
    return Alike(rows, contract).counted(residuals).block


def finest(contract: Contract, block: Block) -> Block:
    """Return the one of two crossed blocks that lies within periods, or else the block."""
    return block.also if block.also and ordered(contract, block.also) else block


def _nested(labels: Whole, whole: Whole) -> bool:
    """Return whether rows with one label are always of one block."""
    if np.array_equal(labels, whole):
        return True
    count = different(labels)
    return different(whole) <= count == different(labels, whole)


def _entities(contract: Contract) -> list[tuple[str, ...]]:
    """Return the columns of the entity together, and each that the model does not see."""
    single = [(name,) for name in contract.entity if name not in contract.features]
    whole = tuple(contract.entity)
    return ([whole] if whole and whole not in single else []) + single
