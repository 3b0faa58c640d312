"""The block: what rows have in common that are not independent of each other, and so what counts as one."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field, model_validator

from perenne.common import periods
from perenne.common.contract import Contract
from perenne.common.periods import Unit
from perenne.common.typed import Model

Moments = npt.NDArray[np.int64]
Part = Literal["minute", "hour", "day", "week", "month", "quarter", "year"]

# What a period is cut into: the longest unit that a clock shows and that is shorter.
PART: dict[Unit, Part] = {
    "hour": "minute",
    "day": "hour",
    "week": "day",
    "month": "day",
    "quarter": "day",
    "year": "day",
}
# Longer ones, which no array of times is cut into at once.
WHOLE: dict[Part, Unit] = {"week": "week", "month": "month", "quarter": "quarter", "year": "year"}
CUT: dict[Part, str] = {"minute": "datetime64[m]", "hour": "datetime64[h]", "day": "datetime64[D]"}


class Block(Model):
    """What makes rows one block: nothing, a column (or several together), or their time.

    Parameters
    ----------
    columns
        Rows with the same values of these are a block.
    part
        Rows of the same minute, hour, day or whole period are a block. With neither, every row is one.
    span
        So many minutes, hours, days (or values of a column of times) in a row are a block; 1 unless
        neighbours resemble each other.
    beside
        Rows of the same period of this unit share something beyond what those of a block do; None: nothing
        that is known.
    also
        A second thing that rows have in common, such as a day where the block is a person; None: nothing.
    why
        For people: one sentence.

    """

    columns: tuple[str, ...] = Field((), strict=False)  # JSON has lists
    part: Part | None = None
    span: int = Field(1, ge=1)
    beside: Unit | None = None
    also: Block | None = None
    why: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.columns and self.part:
            raise ValueError(f"rows of one {self.part}, or of one {' and '.join(self.columns)}: not both")
        return self

    @property
    def kind(self) -> Literal["row", "columns", "time"]:
        """What the rows of a block share; `row`: each is its own."""
        return "columns" if self.columns else "time" if self.part else "row"

    @property
    def single(self) -> Block:
        """The same with one day (hour, ...) a block.

        For bounds that measure by themselves how much neighbours resemble each other.
        """
        return self.model_copy(update={"span": 1})


def moments(rows: pd.DataFrame, contract: Contract, part: Part) -> Moments:
    """The number of each row's minute, hour, day or period by the contract's clocks, shape (rows,).

    Those of neighbouring days differ by 1, and one day has the same number in every batch.
    """
    times = rows[contract.time]
    if unit := WHOLE.get(part):
        whole = periods.of(times, unit, contract.zone)
        return np.asarray(pd.PeriodIndex(whole).asi8, dtype=np.int64)
    if contract.zone:
        times = times.dt.tz_localize("UTC").dt.tz_convert(contract.zone).dt.tz_localize(None)
    return times.to_numpy().astype(CUT[part]).astype(np.int64)


def declared(contract: Contract) -> Block | None:
    """The contract's own answer: its column of that role, or that rows are independent; else None."""
    if contract.block:
        return Block(
            columns=(contract.block,), why=f"the contract says that rows of one {contract.block} are a block"
        )
    return Block(why="the contract says that rows are independent") if contract.independent else None


def ordered(contract: Contract, block: Block) -> bool:
    """Whether blocks follow each other in time, so that neighbours may resemble each other."""
    times = [contract.columns[name].type == "datetime" for name in block.columns]
    return block.part is not None or times == [True]


def labels_of(rows: pd.DataFrame, contract: Contract, block: Block) -> Moments:
    """The number of each row's block, shape (rows,).

    Parameters
    ----------
    rows
        Of the contract.
    contract
        Names the time and its zone.
    block
        What makes rows one block.

    Returns
    -------
    Moments
        If the block is a time, or one column of times, rising with it. If it is a `part`, the same in every
        batch; else counted from 0 among these rows, so that only those of one call can be compared.

    """
    if block.part:
        return moments(rows, contract, block.part) // block.span
    if not block.columns:
        return np.arange(len(rows), dtype=np.int64)
    in_order = ordered(contract, block)
    if len(block.columns) == 1:  # the same, in half of the memory
        codes, _ = pd.factorize(rows[block.columns[0]], sort=in_order, use_na_sentinel=False)
        return codes.astype(np.int64, copy=False) // block.span
    by = rows.groupby(list(block.columns), sort=in_order, dropna=False, observed=True)
    return np.asarray(by.ngroup(), dtype=np.int64) // block.span
