"""From rows, scores and rules to an answer, without disk or Git: a replay of history uses the same code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from perenne.common import predicted
from perenne.common.block import Block, labels_of, moments, ordered
from perenne.common.column import Column
from perenne.common.contract import Contract
from perenne.common.predicted import Mean
from perenne.common.slicing import groups, intervals_of, slice_name
from perenne.documents.verdict import Intent, JudgedAnswer
from perenne.gate.evidence import Contender, Evidence, Labels, Places
from perenne.gate.finding import Finding
from perenne.gate.policy import Policy
from perenne.stats.sharing import coded


class Judgement(NamedTuple):
    """The answer of all rules together, and their findings."""

    answer: JudgedAnswer
    findings: tuple[Finding, ...]


def judge(evidence: Evidence, policy: Policy, intent: Intent) -> Judgement:
    """Apply every configured rule: one that fails rejects, else one that is undecided leaves all undecided.

    All rules must pass, so their number needs no correction: a model that is not better must still pass the
    rule that demands it. A rule without a finding (it needs a champion, and there is none) does not count as
    a pass: if no rule has a finding, the answer is undecided.

    Parameters
    ----------
    evidence
        The models' scores on the holdout, from `evidence`.
    policy
        The rules and their settings.
    intent
        Only the rule `Improvement` depends on it.

    Returns
    -------
    Judgement
        `rejected` if a finding fails, `eligible` if there are findings and all pass, else `undecided`.

    """
    findings = tuple(f for rule in policy.rules.configured for f in rule.judge(evidence, intent))
    answers = {finding.answer for finding in findings}
    if "fail" in answers:
        return Judgement("rejected", findings)
    return Judgement("eligible" if answers == {"pass"} else "undecided", findings)


def evidence(
    rows: pd.DataFrame,
    contract: Contract,
    block: Block,
    challenger: Contender,
    opponents: Sequence[Contender],
    *,
    champion: bool,
    mean: Mean,
    policy: Policy,
    alpha: float,
    before: Evidence | None = None,
    anchor: Contender | None = None,
) -> Evidence:
    """Return what the rules judge by: outcomes, blocks and slices.

    Parameters
    ----------
    rows
        The holdout, one row a case, every row with a label.
    contract
        Names the target and the slices.
    block
        What makes rows one block, such as `holdout_block.block_of` returns.
    challenger, opponents
        The models, with scores of shape (rows,), or (rows, classes) where there are several.
    champion
        Whether the first opponent is the champion.
    mean
        The dummy's score: the mean target of the training rows, or the share of each class.
    policy
        Its metric and its tolerance.
    alpha
        Of each one-sided bound.
    before
        The same of validation, where whole periods share something beside the block: see `Evidence`.
    anchor
        As `Evidence` has it.

    """
    return Evidence(
        contract.task,
        predicted.outcomes(rows, contract),
        labels_of(rows, contract, block),
        challenger,
        tuple(opponents),
        champion=champion,
        mean=mean,
        slices=slices(rows, contract),
        metric=policy.metric,
        tolerance=policy.tolerance,
        alpha=alpha,
        ordered=ordered(contract, block),
        classes=predicted.several(contract),
        periods=moments(rows, contract, block.beside) if block.beside else None,
        before=before,
        crossed=_crossed(rows, contract, block.also) if block.also else None,
        anchor=anchor,
    )


def _crossed(rows: pd.DataFrame, contract: Contract, also: Block) -> Labels:
    in_order = ordered(contract, also)
    return Labels(*coded(labels_of(rows, contract, also), ordered=in_order), in_order)


def slices(rows: pd.DataFrame, contract: Contract) -> dict[str, Places]:
    """Return the positions of the rows of each slice: none for a slice of the contract without rows.

    Returns
    -------
    dict
        Name, as `slice_name` writes it, -> positions among the rows, shape (n,). Rows whose value is missing
        or outside the bins are a slice too. Only the largest slices of a column get their rows: see `groups`.

    """
    positions: dict[str, Places] = {}
    for column in contract.slices:
        spec = contract.columns[column]
        named: dict[Any, Places] = {value: np.array([], dtype=np.intp) for value in _named(spec)}
        named |= groups(rows[column], spec.bins)
        positions |= {slice_name(column, value): places for value, places in named.items()}
    return positions


def _named(column: Column) -> list[object]:
    """The slices of a column that the contract names."""
    if column.bins:
        return list(intervals_of(column.bins))
    if column.type == "boolean":
        return []
    return list(column.categories if column.type == "category" else column.values or ())
