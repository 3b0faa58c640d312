"""The ledger of looks at holdouts, and of verdicts.

Each look at a holdout spends some of its evidence: of twenty equal models tried on the same rows, one seems
better. So every look is recorded *before* the models are compared, with the alpha that it spends. It is
recorded under each batch of the holdout, identified by a hash of its labels: holdouts that share a batch
share its noise, and a column more or less does not make another holdout.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from perenne.common import notes, periods
from perenne.common.contract import Contract
from perenne.common.typed import Model
from perenne.documents.verdict import Intent, ModelFile, PolicyRecord, Verdict
from perenne.stats import spending


class ComparedModels(Model):
    """What is compared in a look: the models by sha256, and the policy that is applied."""

    case: str
    challenger: ModelFile
    intent: Intent
    policy: PolicyRecord
    against: tuple[str, ...]


class Look(NamedTuple):
    """The number of the look at these batches, the alpha it may spend, and the alpha left after it."""

    number: int
    alpha: float
    left: float


def hashes(rows: pd.DataFrame, contract: Contract) -> dict[str, str]:
    """Return the hash of the labels of each batch of a holdout, by period.

    Only sorted times and outcomes are hashed: the order of the rows and other columns do not make another
    holdout.

    Parameters
    ----------
    rows
        The holdout, with at least the contract's time and target.
    contract
        Names both, and the length of a period.

    Returns
    -------
    dict
        Period, such as `2020Q4`, -> sha256 in hexadecimal digits.

    """
    by_period = {}
    for period, places in rows.groupby(periods.of(rows[contract.time], contract.period)).indices.items():
        times = rows[contract.time].to_numpy(dtype="datetime64[us]")[places].astype("<i8")
        outcomes = rows[contract.target].to_numpy(dtype="<f8")[places]
        order = np.lexsort((outcomes, times))
        by_period[str(period)] = _sha256(
            str(period).encode() + times[order].tobytes() + outcomes[order].tobytes()
        )
    return by_period


def look(batches: Mapping[str, str], comparison: ComparedModels, total: float, *, sharing: bool) -> Look:
    """Record a look at some batches, before the models are compared; return what it may spend.

    Repeating a look is free and reuses its alpha: it shows nothing new.

    Parameters
    ----------
    batches
        The hash of each batch by period, from `hashes`.
    comparison
        What is compared: equal for equal looks.
    total
        Alpha, of all looks at a batch together.
    sharing
        Push the line as well. The remote accepts one line after another, so two clones never use the same
        number. Without it they may, and both lines count once they are merged.

    Returns
    -------
    Look
        Its alpha is 0 if earlier looks had spent all of it.

    Raises
    ------
    PerenneError
        If an earlier line cannot be read, or the push fails.

    """
    content = comparison.model_dump(mode="json")
    name = _sha256(json.dumps(content, sort_keys=True).encode())

    def claim() -> Look:
        looks = {batch: _looks(batch) for batch in batches.values()}
        known = {key: line for lines in looks.values() for key, line in lines.items()}
        mine = known.get(name) or _next(len(known) + 1, total, _left(looks, total))
        for batch, lines in looks.items():
            if name not in lines:
                line = {"look": name, "number": mine.number, "alpha": mine.alpha, **content}
                notes.append("batch", batch, line)
                lines[name] = mine
        return Look(mine.number, mine.alpha, _left(looks, total))

    return notes.shared(claim, sharing=sharing)


def record(verdict: Verdict, *, sharing: bool) -> None:
    """Record a verdict under the sha256 of its challenger.

    Parameters
    ----------
    verdict
        It becomes a line of the local notes.
    sharing
        Push the line as well.

    Raises
    ------
    PerenneError
        If the push fails.

    """
    line = verdict.to_json()
    notes.shared(lambda: notes.append("model", verdict.challenger.sha256, line), sharing=sharing)


def verdicts(sha256: str) -> list[Verdict]:
    """Return the verdicts on a model, in no order.

    Parameters
    ----------
    sha256
        That of the model file.

    Raises
    ------
    PerenneError
        If a verdict cannot be read.

    """
    return [
        Verdict.from_json(line, f"{notes.REF}: a verdict on the model {sha256[:12]}")
        for line in notes.read("model", sha256)
    ]


class _Line(NamedTuple):
    """A look as a note holds it."""

    number: int
    alpha: float


def _looks(batch: str) -> dict[str, _Line]:
    return {line["look"]: _Line(line["number"], line["alpha"]) for line in notes.read("batch", batch)}


def _next(number: int, total: float, left: float) -> _Line:
    return _Line(number, spending.alpha(number, total, left))


def _left(looks: Mapping[str, Mapping[str, _Line]], total: float) -> float:
    """The alpha that is left of the batch with the most spent."""
    spent = [sum(line.alpha for line in lines.values()) for lines in looks.values()]
    return max(total - max(spent), 0.0)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
