"""Copies: rows that are there twice tell nothing new, and nothing but an entity would say so.

An export that joins a table to a longer one repeats its rows. Each repeated row is then counted as evidence
of its own: if all rows are there three times, 95 % intervals of a mean hold the truth in 74 % of cases.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from perenne.common.contract import Contract

MANY = 0.01  # of the rows; fewer do no harm
DISTINCT = 0.5  # of the different rows: a number that tells so many of them apart is not equal by chance


def warnings(rows: pd.DataFrame, contract: Contract) -> Iterator[str]:
    """A line if many rows are equal in every column of the contract; none where it says which rows are alike.

    Rows of few possible values are equal by chance, so nothing is said of them.

    Parameters
    ----------
    rows
        Of the contract.
    contract
        Where it has an entity, a block, or says `block: none`, rows that are alike are known.

    """
    if contract.entity or contract.block or contract.independent:
        return
    columns = list(contract.columns)
    again = rows.duplicated(columns)
    single = rows[~again]
    numbers = [name for name in columns if contract.columns[name].type == "number"]
    told = max((single[name].nunique() for name in numbers), default=0)
    if again.mean() <= MANY or told < DISTINCT * len(single):
        return
    yield (
        f"{int(again.sum()):,} of {len(rows):,} rows are copies of another row, equal in every column: each "
        "counts as evidence of its own, so intervals are too narrow; drop them, or give a column of what "
        "they are about the role `entity`"
    )
