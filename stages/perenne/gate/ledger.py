"""The ledger of looks at holdouts, and of verdicts.

Each look at a holdout spends some of its evidence: of twenty equal models tried on the same rows, one seems
better. So every look is written down *before* the models are compared, with the alpha that it spends. It
stands under each batch of the holdout, identified by a hash of its labels: a holdout that shares a batch with
another shares its noise, and a column more or less does not make a new one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from perenne.common import notes, periods
from perenne.common.contract import Contract
from perenne.common.notes import Line
from perenne.stats import spending


class Look(NamedTuple):
    """Which look at these batches it is, what it may spend of alpha, and what is left after it."""

    number: int
    alpha: float
    left: float


def hashes(rows: pd.DataFrame, contract: Contract) -> dict[str, str]:
    """The hash of the labels of each batch of a holdout, by period.

    Times and outcomes in an order of their own: neither how rows are sorted nor what else is known of them
    makes another holdout.
    """
    found = {}
    for period, places in rows.groupby(periods.of(rows[contract.time], contract.period)).indices.items():
        times = rows[contract.time].to_numpy(dtype="datetime64[us]")[places].astype("<i8")
        outcomes = rows[contract.target].to_numpy(dtype="<f8")[places]
        order = np.lexsort((outcomes, times))
        found[str(period)] = _sha256(
            str(period).encode() + times[order].tobytes() + outcomes[order].tobytes()
        )
    return found


def look(batches: Mapping[str, str], at: Mapping[str, Any], total: float, *, sharing: bool) -> Look:
    """Write down a look at some batches; return what it may spend.

    The same look again shows nothing new: it spends nothing more, and may do what it could the first time.

    Parameters
    ----------
    batches
        What `hashes` returns.
    at
        The models compared, and by which rules: equal for equal looks.
    total
        Alpha, of all looks at a batch together.
    sharing
        Push the line as well. The remote takes one line after another, so two clones never take the same
        number. Else they may, and both lines count once they meet.

    """
    name = _sha256(json.dumps(at, sort_keys=True).encode())

    def claim() -> Look:
        lines = {batch: _looks(batch) for batch in batches.values()}
        known = {line["look"]: line for looks in lines.values() for line in looks.values()}
        number = known[name]["number"] if name in known else len(known) + 1
        alpha = known[name]["alpha"] if name in known else spending.alpha(number, total, _left(lines, total))
        mine = {"look": name, "number": number, "alpha": alpha, **at}
        for batch, looks in lines.items():
            if name not in looks:
                notes.append("batch", batch, mine)
                looks[name] = mine
        return Look(number, alpha, _left(lines, total))

    return notes.shared(claim, sharing=sharing)


def record(verdict: Line, *, sharing: bool) -> None:
    """Write down a verdict, under the model that it is about."""
    sha256 = verdict["challenger"]["sha256"]
    notes.shared(lambda: notes.append("model", sha256, verdict), sharing=sharing)


def verdicts(sha256: str) -> list[Line]:
    """The verdicts on a model, in no order."""
    return notes.read("model", sha256)


def _looks(batch: str) -> dict[str, Line]:
    return {line["look"]: line for line in notes.read("batch", batch)}


def _left(lines: Mapping[str, Mapping[str, Line]], total: float) -> float:
    """Alpha that the batch which was looked at most has left."""
    spent: list[float] = [sum(line["alpha"] for line in looks.values()) for looks in lines.values()]
    return max(total - max(spent), 0.0)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
