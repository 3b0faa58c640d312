"""The ledger of looks at holdouts, and of verdicts.

Each look at a holdout spends some of its evidence: of twenty equal models tried on the same rows, one seems
better. So every look is recorded *before* the models are compared, with the alpha that it spends. It is
recorded under each batch of the holdout, identified by a hash of its labels: holdouts that share a batch
share its noise, and a column more or less does not make another holdout.

What a fork says of its looks cannot be checked: its own code wrote it. So forks have an allowance of their
own, and nothing that they say takes from the repository's. Each release names the ledger's commit, so a
ledger that was deleted or rewritten is noticed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from perenne.common import git, notes, periods
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.typed import Model
from perenne.documents.verdict import Asker, Intent, ModelFile, PolicyRecord, Verdict
from perenne.registry.tags import Registry, Version
from perenne.stats import spending

FORKS = 0.1  # of alpha, on top of it: what the looks of all forks together may spend


class ComparedModels(Model):
    """What is compared in a look: the models by sha256, and the policy that is applied."""

    case: str
    challenger: ModelFile
    intent: Intent
    policy: PolicyRecord
    against: tuple[str, ...]


class Look(NamedTuple):
    """The number of the look at these batches, the alpha it may spend, what is left after it, and of what."""

    number: int
    alpha: float
    left: float
    total: float


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
    for period, places in rows.groupby(
        periods.of(rows[contract.time], contract.period, contract.zone)
    ).indices.items():
        times = rows[contract.time].to_numpy(dtype="datetime64[us]")[places].astype("<i8")
        outcomes = rows[contract.target].to_numpy(dtype="<f8")[places]
        order = np.lexsort((outcomes, times))
        by_period[str(period)] = _sha256(
            str(period).encode() + times[order].tobytes() + outcomes[order].tobytes()
        )
    return by_period


def look(
    batches: Mapping[str, str],
    comparison: ComparedModels,
    alpha: float,
    *,
    sharing: bool,
    asker: Asker = "anyone",
) -> Look:
    """Record a look at some batches, before the models are compared; return what it may spend.

    Repeating a look is free and reuses its alpha: it shows nothing new. So a model that a fork has looked at
    is released at the alpha of that look, unless the repository has looked at it as well.

    Parameters
    ----------
    batches
        The hash of each batch by period, from `hashes`.
    comparison
        What is compared: equal for equal looks.
    alpha
        Of all the repository's looks at a batch together; those of forks have `FORKS` of it, on top.
    sharing
        Push the line as well. The remote accepts one line after another, so two clones never use the same
        number. Without it they may, and both lines count once they are merged.
    asker
        Who looks. An `own` look ignores those of forks: else a fork could spend the alpha of a model before
        the repository looks at it.

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
        own, theirs = known.get(_Key(name, fork=False)), known.get(_Key(name, fork=True))
        mine = own or (theirs if asker != "own" else None)
        fork = mine is theirs and mine is not own if mine else asker == "fork"
        total = alpha * FORKS if fork else alpha
        if mine is None:
            number = 1 + sum(key.fork == fork for key in known)
            mine = _Line(number, spending.alpha(number, total, _left(looks, total, fork=fork)))
        for batch, lines in looks.items():
            if _Key(name, fork) not in lines:
                line = {"look": name, "number": mine.number, "alpha": mine.alpha, **content}
                notes.append("batch", batch, line | ({"fork": True} if fork else {}))
                lines[_Key(name, fork)] = mine
        return Look(mine.number, mine.alpha, _left(looks, total, fork=fork), total)

    return notes.shared(claim, sharing=sharing)


def complete(registry: Registry) -> None:
    """Raise a `PerenneError` if the ledger lacks looks that a release of the model rests on.

    The tag of each registered version names the ledger's commit, and the ledger only grows.

    Parameters
    ----------
    registry
        The model's registry; tags of earlier versions of Perenne name no commit.

    """
    for version in registry.versions:
        commit = _ledger_of(version)
        if commit and not git.succeeds("merge-base", "--is-ancestor", commit, notes.REF):
            raise PerenneError(_repair(commit, version.tag))


def _repair(commit: str, tag: str) -> str:
    """What is wrong, and the commands that mend it; the second one where the ledger was begun anew."""
    remote, ref = git.remote() or "origin", notes.REF
    push, merge = f"git push {remote}", f"git notes --ref={ref} merge -s cat_sort_uniq FETCH_HEAD"
    return (
        f"{ref}: lacks {commit}, which {tag} rests on: looks at holdouts are lost. In a clone that has it: "
        f"{push} {commit}:{ref}; if that is rejected: git fetch {remote} {ref} && {merge} && {push} {ref}"
    )


def _ledger_of(version: Version) -> str | None:
    """The ledger's commit by a version's tag; None for a tag that names none or cannot be read."""
    try:
        commit = version.proof.ledger if version.proof else None
    except PerenneError:
        return None
    return commit if commit and re.fullmatch(r"[0-9a-f]{40,64}", commit) else None


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


class _Key(NamedTuple):
    """A look as it is known again: the hash of what was compared, and whose allowance it spends."""

    name: str
    fork: bool


class _Line(NamedTuple):
    """A look as a note holds it."""

    number: int
    alpha: float


def _looks(batch: str) -> dict[_Key, _Line]:
    return {
        _Key(line["look"], line.get("fork", False)): _Line(line["number"], line["alpha"])
        for line in notes.read("batch", batch)
    }


def _left(looks: Mapping[str, Mapping[_Key, _Line]], total: float, *, fork: bool) -> float:
    """The alpha that is left of the batch with the most spent."""
    spent = [sum(line.alpha for key, line in lines.items() if key.fork == fork) for lines in looks.values()]
    return max(total - max(spent), 0.0)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
