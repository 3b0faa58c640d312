"""A challenger compared with its opponents on a holdout: one look, and what the verdict may tell of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd
import pyarrow.parquet as pq

from perenne.common import notes, predicted
from perenne.common.block import Block
from perenne.common.contract import Contract
from perenne.common.disk import canonical
from perenne.common.errors import PerenneError
from perenne.common.names import HOLDOUT, TRAIN
from perenne.documents.verdict import (
    AlphaSpent,
    Asker,
    ChangeRecord,
    Holdout,
    Intent,
    ModelFile,
    RuleFinding,
    Verdict,
    VerdictAnswer,
)
from perenne.gate import contenders, judge, ledger, record, refitted, sealed, worlds
from perenne.gate.contenders import Loaded
from perenne.gate.evidence import Contender, Evidence
from perenne.gate.finding import Finding
from perenne.gate.ledger import ComparedModels, Family, Look
from perenne.gate.policy import Policy
from perenne.gate.sealed import Foresight
from perenne.registry.change import Change
from perenne.registry.tags import Version
from perenne.stats.estimate import Estimate


class SpentError(PerenneError):
    """No alpha is left for another look at these rows, or their labels were shown before."""


class Terms(NamedTuple):
    """What is judged by what: the policy, and the rows of the holdout.

    `validated` are the challenger's predictions on validation: None in a project without the stage. `block`
    is what makes rows one block, see `holdout_block.block_of`.
    """

    name: str
    contract: Contract
    policy: Policy
    policy_from: str | None
    rows: pd.DataFrame
    validated: pd.DataFrame | None
    block: Block
    holdout: Holdout
    champion: Version | None
    base: str | None
    change: Change | None
    intent: Intent

    def verdict(self, challenger: Loaded, released: Loaded, answer: VerdictAnswer, why: str) -> Verdict:
        """Return what a verdict holds whether or not models were compared."""
        change = self.change
        other = released if released.sha256 != challenger.sha256 else None
        return Verdict(
            case=self.name,
            challenger=ModelFile(sha256=challenger.sha256, size=challenger.size),
            released=ModelFile(sha256=other.sha256, size=other.size) if other else None,
            champion=self.champion.version if self.champion else None,
            base=self.base,
            intent=self.intent,
            change=ChangeRecord(kind=change.kind, reasons=change.reasons) if change else None,
            policy=self.policy.record(),
            policy_from=self.policy_from,
            holdout=self.holdout,
            answer=answer,
            why=why,
        )


class ModelComparison:
    """A challenger and its opponents, scored on the rows of the holdout.

    Parameters
    ----------
    terms
        What is judged by what.
    challenger, opponents
        The models. The champion, where there is one, is the first opponent.
    released
        The model that a release would put to use.
    anchor
        The version that a fresher model must not fall behind, where that is not the champion.

    Raises
    ------
    PerenneError
        If a model cannot score the rows.

    """

    def __init__(
        self,
        terms: Terms,
        challenger: Loaded,
        released: Loaded,
        opponents: list[Loaded],
        anchor: Loaded | None = None,
    ) -> None:
        self.terms, self.loaded, self.released = terms, challenger, released
        self.challenger = contenders.contender(challenger, terms.rows, terms.contract)
        self.against = [contenders.contender(one, terms.rows, terms.contract) for one in opponents]
        self.anchor = contenders.contender(anchor, terms.rows, terms.contract) if anchor else None
        self.models = ComparedModels(
            case=terms.name,
            challenger=ModelFile(sha256=challenger.sha256, size=challenger.size),
            intent=terms.intent,
            policy=terms.policy.record(),
            against=tuple(one.sha256 for one in (*opponents, *([anchor] if anchor else ()))),
            view=terms.holdout.view,
            grouping=terms.holdout.grouping,
            released=released.sha256 if released.sha256 != challenger.sha256 else None,
        )
        # Measured here: the model card's own is not trusted.
        learned = pq.read_table(TRAIN, columns=[terms.contract.target]).to_pandas()
        self.mean = predicted.mean(predicted.outcomes(learned, terms.contract), terms.contract)
        self.spread = (
            worlds.UNKNOWN
            if terms.validated is None
            else worlds.scatter(terms.validated, terms.contract, terms.block)
        )
        self.before = self._before([*opponents, anchor] if anchor else opponents)

    def _before(self, opponents: list[Loaded]) -> Evidence | None:
        """The models on rows of validation, where these show what whole periods add."""
        terms, rows = self.terms, self.terms.validated
        if terms.block.beside is None or rows is None:
            return None
        mine = self.challenger._replace(scores=predicted.scores(rows, terms.contract))
        against = [contenders.contender(one, rows, terms.contract) for one in opponents]
        return self._judged_by(rows, mine, against, terms.policy.alpha)

    def verdict(self, *, share: bool, asker: Asker, family: Family | None = None) -> Verdict:
        """Return the sealed verdict.

        Where a rule that needs no labels does not pass, or blocks are too few for one that does, no look is
        made.

        Parameters
        ----------
        share
            Push the look.
        asker, family
            Whose alpha the look spends, and what it is a part of: see `ledger.look`.

        Raises
        ------
        SpentError
            If no alpha is left.

        """
        terms = self.terms
        unsealed, by_labels = sealed.split(terms.policy)
        unseen = self.evidence(terms.rows, terms.policy.alpha)
        known = judge.judge(unseen, unsealed, terms.intent).findings
        shown = tuple(map(record.finding, known))
        if stops := [finding for finding in known if finding.answer != "pass"]:
            answer: VerdictAnswer = "rejected" if _decisive(stops, "fail") else "undecided"
            why = f"{_named(stops)}; no look was made"
            return terms.verdict(self.loaded, self.released, answer, why).model_copy(
                update={"rules": shown, "more_blocks": None if answer == "undecided" else 0.0}
            )
        if by_labels.rules.configured and unseen.apart.few:
            return self._too_few(unseen.apart, shown)
        look = self._look(share=share, asker=asker, family=family)
        evidence = self.evidence(terms.rows, look.alpha)
        judged = judge.judge(evidence, by_labels, terms.intent).findings
        foresight = self.foreseen(by_labels, look.alpha)  # always: the time it takes tells nothing either
        unlike = self._unlike(evidence)  # as well; and a third answer would be a look of its own
        if not known and not judged:
            said = sealed.Sealed("undecided", "no rule has anything to judge", math.inf)
        elif not unlike and all(finding.answer == "pass" for finding in judged):
            said = sealed.Sealed("eligible", "all rules pass", 0.0)
        else:
            said = sealed.answered(foresight, terms.holdout.blocks)
        rules = sealed.findings(foresight, terms.policy.record(), eligible=said.answer == "eligible")
        verdict = terms.verdict(self.loaded, self.released, said.answer, said.why + self._first())
        return verdict.model_copy(
            update=self._spent(look) | {"rules": (*rules, *shown), "more_blocks": canonical(said.more_blocks)}
        )

    def _too_few(self, apart: Estimate, shown: tuple[RuleFinding, ...]) -> Verdict:
        """Return the verdict on a holdout whose blocks are too few for any bound."""
        more = math.ceil(apart.fewest - apart.blocks)
        why = f"{apart.few}, it takes about {more:,} more; no look was made"
        verdict = self.terms.verdict(self.loaded, self.released, "undecided", why)
        return verdict.model_copy(update={"rules": shown, "more_blocks": float(more)})

    def opened(self, *, share: bool, asker: Asker) -> Verdict:
        """Return the verdict with all figures, and close the batches of the holdout.

        Parameters
        ----------
        share, asker
            As for `verdict`.

        Raises
        ------
        SpentError
            If no alpha is left.

        """
        terms, look = self.terms, self._look(share=share, asker=asker, opening=True)
        evidence = self.evidence(terms.rows, look.alpha)
        answer, findings = judge.judge(evidence, terms.policy, terms.intent)
        waiting = _decisive(findings, "undecided") if answer == "undecided" else []
        if answer == "eligible":
            wrong = self._unlike(evidence)
            answer, why = ("rejected", wrong) if wrong else (answer, "all rules pass")
        else:
            why = _named(waiting or _decisive(findings, "fail")) or "no rule has anything to judge"
        verdict = terms.verdict(self.loaded, self.released, answer, why + self._first())
        shown = {
            "opened": True,
            "rules": tuple(map(record.finding, findings)),
            "more_blocks": canonical(max((finding.more_blocks for finding in waiting), default=0.0)),
            "metrics": record.measured(evidence, terms.contract),
            "opponents": tuple(
                record.opponent(evidence, one, terms.contract)
                for one in (*self.against, *([self.anchor] if self.anchor else ()))
            ),
        }
        return verdict.model_copy(update=self._spent(look) | shown)

    def _unlike(self, evidence: Evidence) -> str:
        """What is wrong with the model that a release would put to use; empty if that is the challenger."""
        if self.released.sha256 == self.loaded.sha256:
            return ""
        terms = self.terms
        return refitted.unlike(evidence, contenders.contender(self.released, terms.rows, terms.contract))

    def evidence(self, rows: pd.DataFrame, alpha: float) -> Evidence:
        """Return what the rules judge by, with the labels of some rows: the holdout's, or a world's."""
        return self._judged_by(
            rows, self.challenger, self.against, alpha, before=self.before, anchor=self.anchor
        )

    def _judged_by(
        self,
        rows: pd.DataFrame,
        challenger: Contender,
        against: list[Contender],
        alpha: float,
        *,
        before: Evidence | None = None,
        anchor: Contender | None = None,
    ) -> Evidence:
        return judge.evidence(
            rows,
            self.terms.contract,
            self.terms.block,
            challenger,
            against,
            champion=self.terms.champion is not None,
            mean=self.mean,
            policy=self.terms.policy,
            alpha=alpha,
            before=before,
            anchor=anchor,
        )

    def foreseen(self, rules: Policy, alpha: float) -> Foresight:
        """Return what some rules would say if the challenger's scores were right."""
        terms = self.terms
        return sealed.foreseen(
            sealed.drawn(terms.rows, self.challenger.scores, terms.contract, terms.block, self.spread),
            lambda rows: judge.judge(self.evidence(rows, alpha), rules, terms.intent).findings,
        )

    def _look(
        self, *, share: bool, asker: Asker, opening: bool = False, family: Family | None = None
    ) -> Look:
        """Record the look."""
        terms = self.terms
        try:
            look = ledger.look(
                terms.holdout.batches,
                self.models,
                terms.policy.alpha,
                sharing=share,
                labels=terms.holdout.sketch,
                asker=asker,
                opening=opening,
                family=family,
            )
        except notes.NotPushedError as error:
            raise PerenneError(
                f"{notes.REF}: the look cannot be pushed, so it was not made: {error}; perenne gate "
                "--offline makes one that counts in this clone only"
            ) from error
        if not look.alpha:
            why = (
                "a batch of it was opened"
                if look.opened
                else f"earlier looks have spent all of alpha {look.total:g}"
            )
            raise SpentError(f"{HOLDOUT}: {why}; move split.as_of")
        return look

    def _spent(self, look: Look) -> dict[str, object]:
        """The fields of a verdict that a look was made for."""
        spent = AlphaSpent(look=look.number, spent=look.alpha, left=look.left, total=look.total)
        return {"against": self.models.against, "alpha": spent}

    def _first(self) -> str:
        return "" if self.terms.champion else "; a first release, there is no champion to compare with"


def _decisive(findings: Iterable[Finding], answer: str) -> list[Finding]:
    return [finding for finding in findings if finding.answer == answer]


def _named(findings: Iterable[Finding]) -> str:
    return "; ".join(f"{finding.rule} against {finding.against}" for finding in findings)
