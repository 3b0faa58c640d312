"""What a verdict tells of a holdout: whether all rules pass. Its labels stay sealed.

Whoever sees more of them than that adapts to them, and no test on them means anything then
(`perenne.stats.spending`). So before a pass the gate has one answer, *not eligible*, and everything else that
a verdict says is known without the labels:

- rules that need none, size and latency, are judged first, and shown whole. If one does not pass, no look is
  made.
- `rejected` or `undecided`, and how many more blocks: outcomes are drawn from the challenger's own scores, so
  that it is right in these worlds, and the same rules judge it there. If it passes in most of them, then it
  is not as good as its scores say: rejected. If it would with more blocks, the holdout is too short to tell:
  undecided, with that number. If no number in reach helps, its gain is too small even if its scores are
  right: rejected.

Neither word is evidence, and nothing is released because of one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from perenne.common import predicted
from perenne.common.block import Block, labels_of
from perenne.common.contract import Contract
from perenne.documents.verdict import JudgedAnswer, PolicyRecord, RuleFinding
from perenne.gate import worlds
from perenne.gate.finding import MOST_TIMES, Finding
from perenne.gate.policy import Policy
from perenne.gate.rules import Rules
from perenne.gate.worlds import Array, Scatter

OPEN = ("latency", "size")  # rules that need no labels; whatever is not named here is sealed
WORLDS = 20
LEAST_WORLDS = 5
MOST_ROWS = 1_000_000  # in all worlds together, so that a large holdout is judged in time
ENOUGH = 0.8  # of the worlds
TOLERANCE = "the tolerance"  # what a rule without settings of its own goes by

Findings = tuple[Finding, ...]


class ForeseenRule(NamedTuple):
    """A finding where the challenger is right: against what, and how many more blocks would make it pass.

    `against` joins what it is in different worlds: a rule may have several ways to pass.
    """

    rule: str
    against: str
    more_blocks: float


class Foresight(NamedTuple):
    """What the rules say where the challenger is right.

    `passes` is the share of worlds in which all pass. `more_blocks` is how many more blocks would make that
    `ENOUGH`, infinity if no number would.
    """

    passes: float
    more_blocks: float
    rules: tuple[ForeseenRule, ...]


class Sealed(NamedTuple):
    """What may be told of a look: the answer, its reason, and how many more blocks are missing, if known."""

    answer: JudgedAnswer
    why: str
    more_blocks: float


def split(policy: Policy) -> tuple[Policy, Policy]:
    """Return a policy with the rules that need no labels, and one with the others."""
    names = set(Rules.model_fields)
    return _without(policy, names - set(OPEN)), _without(policy, set(OPEN))


def _without(policy: Policy, names: set[str]) -> Policy:
    rules = policy.rules.model_copy(update=dict.fromkeys(names))
    return policy.model_copy(update={"rules": rules})


def drawn(
    rows: pd.DataFrame, scores: Array, contract: Contract, block: Block, spread: Scatter, seed: int = 0
) -> Iterator[pd.DataFrame]:
    """Yield the rows with outcomes of worlds in which some scores are right, the same ones each time.

    Parameters
    ----------
    rows
        The holdout; its labels are replaced.
    scores
        The challenger's, shape (rows,), or (rows, classes) where there are several.
    contract
        Names the target.
    block
        What makes rows one block.
    spread
        From `worlds.scatter`.
    seed
        Of the draws.

    """
    rng = np.random.default_rng(seed)
    labels = labels_of(rows, contract, block)
    for _ in range(min(WORLDS, max(LEAST_WORLDS, MOST_ROWS // max(len(rows), 1)))):
        y = worlds.outcomes(contract.task, scores, labels, spread, rng)
        yield rows.assign(**{contract.target: predicted.values(y, contract)})


def foreseen(rows: Iterator[pd.DataFrame], ask: Callable[[pd.DataFrame], Findings]) -> Foresight:
    """Return what the rules say in worlds in which the challenger is right.

    Parameters
    ----------
    rows
        From `drawn`.
    ask
        Judges rows by the rules that need labels.

    """
    asked = [ask(world) for world in rows]
    whole = [max(map(_need, findings), default=math.inf) for findings in asked]
    by_rule = tuple(
        ForeseenRule(
            same[0].rule, " or ".join(sorted({f.against for f in same})), _enough([_need(f) for f in same])
        )
        for same in zip(*asked, strict=True)
    )
    return Foresight(float(np.mean([need == 0 for need in whole])), _enough(whole), by_rule)


def _need(finding: Finding) -> float:
    """How many more blocks the finding needs to pass: none if it does, infinity if they would not help."""
    if finding.answer == "pass":
        return 0.0
    return finding.more_blocks if finding.answer == "undecided" and finding.more_blocks else math.inf


def _enough(needs: list[float]) -> float:
    """The need that is met in `ENOUGH` of the worlds."""
    return sorted(needs)[math.ceil(ENOUGH * len(needs)) - 1]


def answered(foresight: Foresight, blocks: int) -> Sealed:
    """Return why a model is not eligible, by what the rules would say if it were right.

    Parameters
    ----------
    foresight
        From `foreseen`.
    blocks
        Of the holdout.

    """
    more, most = foresight.more_blocks, MOST_TIMES * blocks
    if not more:
        why = f"were its scores right, {foresight.passes:.0%} of such models would pass"
    elif math.isinf(more):
        why = "were its scores right, it could not pass either: no number of blocks would show it"
    elif more > most:
        why = (
            f"were its scores right, it could not pass either: it would take about {more:,.0f} more blocks, "
            f"over {MOST_TIMES} times the {blocks:,} of this holdout"
        )
    else:
        why = f"were its scores right, about {more:,.0f} more blocks would show it"
    waits = 0 < more <= most
    return Sealed("undecided" if waits else "rejected", f"not all rules pass; {why}", more if waits else 0.0)


def findings(foresight: Foresight, policy: PolicyRecord, *, eligible: bool) -> tuple[RuleFinding, ...]:
    """Return what may be shown of the rules that judge by labels: which there are, and what they ask.

    Nothing of what they have found is used: any text of it, even against what, may tell of the labels.

    Parameters
    ----------
    foresight
        From `foreseen`.
    policy
        Has the settings of each rule.
    eligible
        Whether all have passed.

    """
    return tuple(
        RuleFinding(
            rule=one.rule,
            against=one.against,
            answer="pass" if eligible else "sealed",
            value=None,
            low=None,
            high=None,
            needed=", ".join(f"{key} {value}" for key, value in policy.rules[one.rule].items()) or TOLERANCE,
            more_blocks=0.0 if eligible else one.more_blocks,
        )
        for one in foresight.rules
    )
