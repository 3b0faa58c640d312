"""From rows, scores and rules to an answer: no disk, no Git, so that a replay of history judges alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from perenne.common.contract import Column, Contract
from perenne.gate.evidence import Contender, Evidence, Places
from perenne.gate.policy import Policy
from perenne.gate.rules import Finding, Intent
from perenne.pipeline import evaluate

Answer = Literal["eligible", "rejected", "undecided"]


class Judgement(NamedTuple):
    """The answer of all rules together, and what each found."""

    answer: Answer
    findings: tuple[Finding, ...]


def judge(evidence: Evidence, policy: Policy, intent: Intent) -> Judgement:
    """Ask every rule: one that fails rejects, one that is undecided leaves all undecided, all must pass.

    That all must pass needs no correction for their number: a model that is no better must get past the one
    rule that asks for it, whatever the others say. Rules that find nothing (there is no champion yet) are no
    pass: if none finds anything, the answer is undecided.
    """
    findings = tuple(found for rule in policy.rules.configured for found in rule.judge(evidence, intent))
    answers = {found.answer for found in findings}
    if "fail" in answers:
        return Judgement("rejected", findings)
    return Judgement("eligible" if answers == {"pass"} else "undecided", findings)


def evidence(
    rows: pd.DataFrame,
    contract: Contract,
    challenger: Contender,
    opponents: Sequence[Contender],
    *,
    champion: bool,
    mean: float,
    metric: str,
    alpha: float,
) -> Evidence:
    """What there is to judge by on the rows of a holdout, by the contract's target, blocks and slices."""
    return Evidence(
        contract.task,
        rows[contract.target].to_numpy(dtype=np.float64),
        evaluate.blocks(rows, contract),
        challenger,
        tuple(opponents),
        champion=champion,
        mean=mean,
        slices=slices(rows, contract),
        metric=metric,
        alpha=alpha,
    )


def slices(rows: pd.DataFrame, contract: Contract) -> dict[str, Places]:
    """The places of the rows of each slice; a slice that the contract names and no row is in has none."""
    found: dict[str, Places] = {}
    for column in contract.slices:
        spec = contract.columns[column]
        found |= {f"{column}={value}": np.array([], dtype=np.intp) for value in _named(spec)}
        there = evaluate.groups(rows[column], spec.bins)
        found |= {f"{column}={value}": places for value, places in there.items()}
    return found


def _named(column: Column) -> list[str]:
    """The slices of a column that the contract itself names."""
    if column.bins:
        return [str(interval) for interval in pd.IntervalIndex.from_breaks(list(column.bins), closed="left")]
    return [str(value) for value in column.values or ()]
