"""The gate: is this commit's model proven better than the one in prod? A look, and a verdict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd
import pyarrow.parquet as pq

from perenne.common import batches, git, locked, notes, sections
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.names import HOLDOUT, PROD, TRAIN
from perenne.common.sections import contract_of
from perenne.documents.verdict import (
    AlphaSpent,
    Asker,
    ChangeRecord,
    Holdout,
    Intent,
    JudgedAnswer,
    ModelFile,
    Verdict,
    VerdictAnswer,
)
from perenne.gate import contenders, judge, ledger, policy, record
from perenne.gate.contenders import Loaded
from perenne.gate.evidence import Evidence
from perenne.gate.ledger import ComparedModels, Look
from perenne.gate.policy import Policy
from perenne.gate.rules import Finding
from perenne.pipeline import evaluate
from perenne.registry import tags, workspace
from perenne.registry.change import Change, between
from perenne.registry.tags import Version


class SpentError(PerenneError):
    """No alpha is left for another look at these rows."""


class Terms(NamedTuple):
    """What is judged by what: the policy, and the rows of the holdout."""

    name: str
    contract: Contract
    policy: Policy
    policy_from: str | None
    rows: pd.DataFrame
    holdout: Holdout
    champion: Version | None
    base: str | None
    change: Change | None
    intent: Intent


def gate(
    *,
    base: str | None = None,
    policy_from: str | None = None,
    share: bool = False,
    offline: bool = False,
    asker: Asker = "anyone",
) -> Verdict:
    """Judge the model of the working tree, and record the look and the verdict.

    Parameters
    ----------
    base
        A commit whose model must be beaten as well, such as the branch to be merged into.
    policy_from
        The commit whose params.yaml holds the policy; None: the working tree. A change must not be judged by
        a policy of its own.
    share
        Push the look and the verdict.
    offline
        Do not fetch tags and looks from the remote.
    asker
        Whose alpha the look spends, see `ledger.look`.

    Returns
    -------
    Verdict
        As it is in the ledger. A model that is the champion's own is `unchanged`: no look is made.

    Raises
    ------
    PerenneError
        If the model cannot be judged: results are stale, a model is unavailable, no rule is configured, the
        ledger is incomplete, or no alpha is left (`SpentError`).

    """
    name = sections.params().case
    contract = contract_of(name)
    rules = policy.load(policy_from, contract.task)
    workspace.reproduced()
    if not offline:
        tags.fetch()
        notes.fetch()
    registry = tags.read(name)
    ledger.complete(registry)
    champion = registry.in_stage(PROD)
    challenger = contenders.here(contract)
    intent, change = question(rules, champion, name, policy_from)
    rows = batches.read_parquet(HOLDOUT)
    terms = Terms(
        name,
        contract,
        rules,
        git.commit(policy_from) if policy_from else None,
        rows,
        _described(rows, contract),
        champion,
        git.commit(base) if base else None,
        change,
        intent,
    )
    opponents = list(_opponents(challenger, terms))
    if champion and challenger.sha256 == opponents[0].sha256:
        return _verdict(terms, challenger, "unchanged", f"this is {champion.version}, nothing to judge")
    return _judged(terms, challenger, opponents, share=share, asker=asker)


def _verdict(terms: Terms, challenger: Loaded, answer: VerdictAnswer, why: str) -> Verdict:
    """What a verdict holds whether or not models were compared."""
    change = terms.change
    return Verdict(
        case=terms.name,
        challenger=ModelFile(sha256=challenger.sha256, size=challenger.size),
        champion=terms.champion.version if terms.champion else None,
        base=terms.base,
        intent=terms.intent,
        change=ChangeRecord(kind=change.kind, reasons=change.reasons) if change else None,
        policy=terms.policy.record(),
        policy_from=terms.policy_from,
        holdout=terms.holdout,
        answer=answer,
        why=why,
    )


def _judged(
    terms: Terms, challenger: Loaded, opponents: list[Loaded], *, share: bool, asker: Asker
) -> Verdict:
    """The verdict of a comparison. The look is recorded before it, the verdict after it."""
    contender = contenders.contender(challenger, terms.rows, terms.contract)
    against = [contenders.contender(opponent, terms.rows, terms.contract) for opponent in opponents]
    comparison = ComparedModels(
        case=terms.name,
        challenger=ModelFile(sha256=challenger.sha256, size=challenger.size),
        intent=terms.intent,
        policy=terms.policy.record(),
        against=tuple(opponent.sha256 for opponent in opponents),
    )
    look = ledger.look(terms.holdout.batches, comparison, terms.policy.alpha, sharing=share, asker=asker)
    if not look.alpha:
        raise SpentError(f"{HOLDOUT}: earlier looks have spent all of alpha {look.total:g}; move split.as_of")
    evidence = judge.evidence(
        terms.rows,
        terms.contract,
        contender,
        against,
        champion=terms.champion is not None,
        mean=_mean(terms.contract),
        policy=terms.policy,
        alpha=look.alpha,
    )
    answer, findings = judge.judge(evidence, terms.policy, terms.intent)
    why = _why(answer, findings, first=terms.champion is None)
    verdict = _compared(_verdict(terms, challenger, answer, why), terms, evidence, findings, look, comparison)
    ledger.record(verdict, sharing=share)
    return verdict


def _compared(
    verdict: Verdict,
    terms: Terms,
    evidence: Evidence,
    findings: tuple[Finding, ...],
    look: Look,
    comparison: ComparedModels,
) -> Verdict:
    """A verdict with what the comparison has shown."""
    return verdict.model_copy(
        update={
            "rules": tuple(map(record.finding, findings)),
            "against": comparison.against,
            "alpha": AlphaSpent(look=look.number, spent=look.alpha, left=look.left, total=look.total),
            "metrics": record.measured(evidence, terms.contract),
            "opponents": tuple(record.opponent(evidence, one, terms.contract) for one in evidence.opponents),
        }
    )


def _mean(contract: Contract) -> float:
    """The mean outcome of the training rows, measured here: the model card's own is not trusted."""
    return float(pq.read_table(TRAIN, columns=[contract.target])[contract.target].to_pandas().mean())


def _opponents(challenger: Loaded, terms: Terms) -> Iterator[Loaded]:
    """The champion first, then the base's model if it is neither the champion's nor the challenger's."""
    known = {challenger.sha256}
    if terms.champion:
        sha256 = terms.champion.sha256
        yield contenders.of(terms.champion.commit, f"{terms.champion.version} in {PROD}", terms.name, sha256)
        known.add(sha256)
    if terms.base:
        loaded = contenders.of(terms.base, f"base {terms.base[:7]}", terms.name)
        if loaded.sha256 not in known:
            yield loaded


def question(
    rules: Policy, champion: Version | None, case: str, policy_from: str | None
) -> tuple[Intent, Change | None]:
    """Return what the working tree's model has to be, and what changed since the champion.

    The same recipe on newer data must not be worse; anything else must be better.

    Parameters
    ----------
    rules
        The policy, which may ask always the same.
    champion
        The version in prod, if there is one.
    case
        The case that is judged.
    policy_from
        As for `gate`. Its branch is trusted: see `change.between`.

    Raises
    ------
    PerenneError
        If a side has no `dvc.lock`, or no contract of the case that can be read.

    """
    change = between(champion.commit, None, case, branch=policy_from or "HEAD") if champion else None
    if rules.intent != "auto":
        return rules.intent, change
    return "fresher" if change and change.kind == "patch" else "better", change


def _described(rows: pd.DataFrame, contract: Contract) -> Holdout:
    """Which holdout it is; every row must have a label."""
    missing = rows[contract.target].isna()
    if missing.any():
        raise PerenneError(f"{HOLDOUT}: row {int(missing.argmax())} has no {contract.target}")
    hashes = ledger.hashes(rows, contract)
    return Holdout(
        md5=locked.load().out(HOLDOUT).md5,
        batches=hashes,
        first=min(hashes),
        last=max(hashes),
        rows=len(rows),
        blocks=len(set(evaluate.blocks(rows, contract))),
    )


def _why(answer: JudgedAnswer, findings: tuple[Finding, ...], *, first: bool) -> str:
    """The reason for the answer in one line."""
    ending = "; a first release, there is no champion to compare with" if first else ""
    if answer == "eligible":
        return f"all rules pass{ending}"
    decisive = {"rejected": "fail", "undecided": "undecided"}[answer]
    decided_by = [f"{f.rule} against {f.against}" for f in findings if f.answer == decisive]
    return ("; ".join(decided_by) or "no rule has anything to judge") + ending
