"""The gate of the replay: the rules and the ledger of the real one, without Git, and without a clock."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from perenne.common import model, predicted
from perenne.common.block import Block, declared, labels_of
from perenne.common.cut import Cut
from perenne.documents.verdict import JudgedAnswer
from perenne.gate import sealed, worlds
from perenne.gate.evidence import Contender, Evidence
from perenne.gate.finding import Finding
from perenne.gate.holdout_block import block_of
from perenne.gate.judge import evidence, judge
from perenne.gate.ledger import Family
from perenne.replay.world import World
from perenne.stats import spending


class ReplayVerdict(NamedTuple):
    """The answer with its reason, and how many more blocks an undecided one lacks, else infinity."""

    answer: JudgedAnswer
    why: str
    lacks: float = math.inf


class ReplayLook(NamedTuple):
    """What a family of candidates has spent of a batch's alpha, and as how many looks it counts."""

    depth: int
    alpha: float


class Gate:
    """One walk's looks at holdouts: each look at a batch spends some of its alpha, as the ledger has it."""

    def __init__(self, world: World, answers: dict[Any, Any]) -> None:
        """Begin with all alpha left; `answers` keeps verdicts for walks that need the same ones."""
        self.world, self.answers = world, answers
        self.looks: dict[pd.Period, dict[str, ReplayLook]] = {}

    def judge(
        self, challenger: Cut, champion: Cut, family: Family, anchor: Cut | None = None
    ) -> ReplayVerdict:
        """Judge whether the challenger is fresher than the champion, on the labels that measure it.

        Each call is a look at the challenger's holdout, and spends some of its alpha; those of a family are
        one look.

        Returns
        -------
        `undecided` if no alpha is left; else the answer of the rules, and those that did not pass.

        """
        held = self.world.parts(challenger)["holdout"]
        alpha = self.look(held, family)
        if not alpha:
            return ReplayVerdict("undecided", "earlier looks have spent all of alpha")
        anchor = None if anchor == champion else anchor
        question = challenger, champion, anchor, alpha
        if question not in self.answers:
            self.answers[question] = self._judged(challenger, champion, held, alpha, anchor)
        verdict: ReplayVerdict = self.answers[question]
        return verdict

    def look(self, held: list[pd.Period], family: Family) -> float:
        """Record a look at some batches; return the alpha that it may spend, 0 if none is left."""
        spent = [self.looks.setdefault(period, {}) for period in held]
        total, depth = self.world.plan.gate.alpha, spending.depth(family.models)
        others = {name: look.depth for looks in spent for name, look in looks.items() if name != family.name}
        left = total - max(sum(look.alpha for look in looks.values()) for looks in spent)
        alpha = spending.alpha(sum(others.values()) + depth, total, left)
        for looks in spent:
            before = looks.get(family.name, ReplayLook(depth, 0.0))
            looks[family.name] = before._replace(alpha=before.alpha + alpha)
        return alpha

    def _judged(
        self, challenger: Cut, champion: Cut, held: list[pd.Period], alpha: float, anchor: Cut | None
    ) -> ReplayVerdict:
        world, policy = self.world, self.world.plan.gate
        # What a row takes to score says something of this machine and nothing of the history.
        rules = policy.rules.model_copy(update={"latency": None})
        policy = policy.model_copy(update={"rules": rules})
        rows = pd.concat(map(world.rows, held), ignore_index=True)
        block = self._block(challenger, rows)
        used = world.champion(champion, held)
        models = (
            self._contender("the challenger", challenger, held),
            self._contender("the champion", used, held),
        )
        origin = world.champion(anchor, held) if anchor else None
        first = self._contender("the first model", origin, held) if origin else None

        def seen(
            known: pd.DataFrame,
            by: tuple[Contender, ...],
            before: Evidence | None = None,
            anchor: Contender | None = None,
        ) -> Evidence:
            return evidence(
                known,
                world.contract,
                block,
                by[0],
                by[1:],
                champion=True,
                mean=world.trained(challenger).mean,
                policy=policy,
                alpha=alpha,
                before=before,
                anchor=anchor,
            )

        before = seen(*self._validated(challenger, used, origin)) if block.beside else None

        def findings(known: pd.DataFrame) -> tuple[Finding, ...]:
            return judge(seen(known, models, before, first), policy, "fresher").findings

        found = findings(rows)
        if found and all(finding.answer == "pass" for finding in found):
            return ReplayVerdict("eligible", "all rules pass")
        # As the real gate, which tells no more of the labels than that.
        spread = worlds.scatter(world.validated(challenger), world.contract, block)
        likely = sealed.drawn(rows, models[0].scores, world.contract, block, spread)
        count = len(np.unique(labels_of(rows, world.contract, block)))
        said = sealed.answered(sealed.foreseen(likely, findings), count)
        blamed = ", ".join(f.rule for f in found if f.answer not in ("pass", "not judged"))
        return ReplayVerdict(said.answer, blamed, said.more_blocks or math.inf)

    def _block(self, challenger: Cut, rows: pd.DataFrame) -> Block:
        """What is one block, as in the gate; only where the contract does not say it, models are fitted."""
        world = self.world
        said = declared(world.contract)
        return said or block_of(world.contract, rows, world.validated(challenger))

    def _validated(
        self, challenger: Cut, champion: Cut, origin: Cut | None
    ) -> tuple[pd.DataFrame, tuple[Contender, ...]]:
        """Return the challenger's rows of validation, with what it and the other models say of them."""
        world = self.world
        rows = world.validated(challenger)
        mine = Contender("the challenger", predicted.scores(rows, world.contract))
        others = {"the champion": champion} | ({"the first model": origin} if origin else {})
        return rows, (
            mine,
            *(
                Contender(name, model.predict(world.trained(cut).pipeline, rows, world.contract))
                for name, cut in others.items()
            ),
        )

    def _contender(self, name: str, cut: Cut, held: list[pd.Period]) -> Contender:
        scores = np.concatenate([self.world.scores(cut, period) for period in held])
        return Contender(name, scores, self.world.trained(cut).size)
