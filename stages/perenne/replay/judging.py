"""The gate of the replay: the rules and the ledger of the real one, without Git, and without a clock."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from perenne.common.block import Block, declared
from perenne.common.cut import Cut
from perenne.documents.verdict import JudgedAnswer
from perenne.gate.blocks import block_of
from perenne.gate.evidence import Contender
from perenne.gate.judge import evidence, judge
from perenne.replay.world import World
from perenne.stats import spending


class ReplayVerdict(NamedTuple):
    """The answer, and the rules that stood in the way."""

    answer: JudgedAnswer
    why: str


class Gate:
    """One walk's looks at holdouts: each look at a batch spends some of its alpha, as the ledger has it."""

    def __init__(self, world: World, answers: dict[Any, Any]) -> None:
        """Begin with all alpha left; `answers` keeps verdicts for walks that need the same ones."""
        self.world, self.answers = world, answers
        self.looks: dict[pd.Period, dict[int, float]] = {}

    def judge(self, challenger: Cut, champion: Cut) -> ReplayVerdict:
        """Judge whether the challenger is fresher than the champion, on the labels that measure it.

        Each call is a look at the challenger's holdout, and spends some of its alpha.

        Returns
        -------
        `undecided` if no alpha is left; else the answer of the rules, and those that did not pass.

        """
        held = self.world.parts(challenger)["holdout"]
        alpha = self.look(held)
        if not alpha:
            return ReplayVerdict("undecided", "earlier looks have spent all of alpha")
        question = challenger, champion, alpha
        if question not in self.answers:
            self.answers[question] = self._judged(challenger, champion, held, alpha)
        verdict: ReplayVerdict = self.answers[question]
        return verdict

    def look(self, held: list[pd.Period]) -> float:
        """Record a look at some batches; return the alpha that it may spend, 0 if none is left."""
        spent = [self.looks.setdefault(period, {}) for period in held]
        total = self.world.plan.gate.alpha
        known = {look for looks in spent for look in looks}
        left = total - max(sum(looks.values()) for looks in spent)
        alpha = spending.alpha(len(known) + 1, total, left)
        number = len({look for looks in self.looks.values() for look in looks})
        for looks in spent:
            looks[number] = alpha
        return alpha

    def _judged(self, challenger: Cut, champion: Cut, held: list[pd.Period], alpha: float) -> ReplayVerdict:
        world, policy = self.world, self.world.plan.gate
        # What a row takes to score says something of this machine and nothing of the history.
        rules = policy.rules.model_copy(update={"latency": None})
        rows = pd.concat(map(world.rows, held), ignore_index=True)
        seen = evidence(
            rows,
            world.contract,
            self._block(challenger, rows),
            self._contender("the challenger", challenger, held),
            [self._contender("the champion", champion, held)],
            champion=True,
            mean=world.trained(challenger).mean,
            policy=policy,
            alpha=alpha,
        )
        answer, findings = judge(seen, policy.model_copy(update={"rules": rules}), "fresher")
        return ReplayVerdict(
            answer, ", ".join(f.rule for f in findings if f.answer not in ("pass", "not judged"))
        )

    def _block(self, challenger: Cut, rows: pd.DataFrame) -> Block:
        """What is one block, as in the gate; only where the contract does not say it, models are fitted."""
        world = self.world
        said = declared(world.contract)
        return said or block_of(world.contract, rows, world.validated(challenger))

    def _contender(self, name: str, cut: Cut, held: list[pd.Period]) -> Contender:
        scores = np.concatenate([self.world.scores(cut, period) for period in held])
        return Contender(name, scores, self.world.trained(cut).size)
