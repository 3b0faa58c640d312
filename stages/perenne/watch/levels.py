"""The figures of a batch that are shown as they are: mean scores, and what came beside what was expected."""

from __future__ import annotations

import numpy as np
import pandas as pd

from perenne.common import predicted
from perenne.common.contract import Contract
from perenne.watch.baseline import Baseline


def of(rows: pd.DataFrame, before: Baseline, contract: Contract, *, matured: bool) -> dict[str, float | None]:
    """The mean score beside that of the reference; with labels, also the sums of labels and of scores.

    Parameters
    ----------
    rows
        Of a batch, with their predictions.
    before
        The reference.
    contract
        What the rows are.
    matured
        The labels are known by now.

    Returns
    -------
    `mean` and `reference`; with matured labels also `observed` and `expected`, over the rows that have one.
    Of each class where there are several, as `wheat: mean`.

    """
    columns = predicted.columns(contract)
    labelled = rows[rows[contract.target].notna()]
    sides = predicted.each_class(
        predicted.outcomes(labelled, contract), predicted.scores(labelled, contract), contract
    )
    found: dict[str, float | None] = {}
    for column, (of_class, (came, scores)) in zip(columns, sides.items(), strict=True):
        about = f"{of_class}: " if of_class else ""
        found[f"{about}mean"] = float(rows[column].mean())
        found[f"{about}reference"] = before.scores[column]
        if matured:
            found[f"{about}observed"] = float(came.sum())
            found[f"{about}expected"] = float(np.nansum(scores))
    return found
