"""Is this commit's model proven better than the one in production? Looked at, judged and written down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from perenne.common import batches, git, locked, notes, sections
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.names import HOLDOUT, PROD, TRAIN
from perenne.common.sections import contract_of
from perenne.gate import contenders, judge, ledger, policy
from perenne.gate.contenders import Loaded
from perenne.gate.evidence import Contender, Evidence, Gain
from perenne.gate.policy import Policy
from perenne.gate.rules import Finding, Intent
from perenne.pipeline import evaluate
from perenne.registry import tags, workspace
from perenne.registry.change import Change, between
from perenne.registry.tags import Version
from perenne.stats.influence import INFLUENCE

Verdict = dict[str, Any]
"""In JSON's own types: what `--json` writes, the ledger keeps and a release tag holds."""

SCHEMA = 1
CONFIDENCE = 0.95  # of the intervals of the metrics; the rules' own bounds are at the alpha of the look


class SpentError(PerenneError):
    """No alpha is left for another look at these rows."""


def gate(
    *,
    base: str | None = None,
    policy_from: str | None = None,
    intent: Intent | None = None,
    share: bool = False,
    offline: bool = False,
) -> Verdict:
    """Judge the model of the working tree, and write down the look and the verdict.

    Parameters
    ----------
    base
        A commit whose model must be beaten as well, such as the branch that the change goes to.
    policy_from
        The commit whose params.yaml holds the policy; None: the working tree. A change must not be judged by
        a policy that it brings along.
    intent
        Instead of the policy's.
    share
        Push what is written down.
    offline
        Do not ask the remote for its tags and looks.

    Raises
    ------
    PerenneError
        If there is nothing to judge by: stale results, a model that cannot be had, no rule, no alpha left.

    """
    p = sections.params()
    contract = contract_of(p.case)
    rules = policy.load(policy_from, contract.task)
    workspace.reproduced()
    if not offline:
        tags.fetch()
        notes.fetch()
    champion = tags.read(p.case).in_stage(PROD)
    challenger = contenders.here(contract)
    change = between(champion.commit, None, p.case) if champion else None
    rows = batches.read_parquet(HOLDOUT)
    verdict: Verdict = {
        "schema": SCHEMA,
        "case": p.case,
        "challenger": {"sha256": challenger.sha256, "size": challenger.size},
        "champion": champion.version if champion else None,
        "base": git.commit(base) if base else None,
        "intent": intent or _intent(rules, change),
        "change": change._asdict() if change else None,
        "policy": rules.model_dump(mode="json", exclude_none=True),
        "policy_from": git.commit(policy_from) if policy_from else None,
        "holdout": _described(rows, contract),
    }
    opponents = list(_opponents(challenger, champion, base, p.case))
    if champion and challenger.sha256 == opponents[0].sha256:
        return verdict | {"answer": "rejected", "why": f"it is the model of {champion.version}", "rules": []}
    return _judged(verdict, challenger, opponents, rows, contract, rules, share=share)


def _judged(
    verdict: Verdict,
    challenger: Loaded,
    opponents: list[Loaded],
    rows: pd.DataFrame,
    contract: Contract,
    rules: Policy,
    *,
    share: bool,
) -> Verdict:
    """The look, and what it shows; both are written down."""
    contender = contenders.contender(challenger, rows, contract)
    against = [contenders.contender(opponent, rows, contract) for opponent in opponents]
    at = {key: verdict[key] for key in ("case", "challenger", "intent", "policy")}
    at |= {"against": [opponent.sha256 for opponent in opponents]}
    look = ledger.look(verdict["holdout"]["batches"], at, rules.alpha, sharing=share)
    if not look.alpha:
        raise SpentError(
            f"{HOLDOUT}: earlier looks have spent all of alpha {rules.alpha:g}; move split.as_of"
        )
    seen = judge.evidence(
        rows,
        contract,
        contender,
        against,
        champion=verdict["champion"] is not None,
        mean=_mean(contract),
        metric=rules.metric,
        alpha=look.alpha,
    )
    answer, findings = judge.judge(seen, rules, verdict["intent"])
    verdict = batches.canonical(
        verdict
        | {
            "answer": answer,
            "why": _why(answer, findings, verdict["champion"]),
            "rules": [_finding(found) for found in findings],
            "against": at["against"],
            "alpha": {"look": look.number, "spent": look.alpha, "left": look.left, "total": rules.alpha},
            "metrics": _metrics(seen, contract),
            "opponents": [_opponent(seen, opponent, contract) for opponent in seen.opponents],
        }
    )
    ledger.record(verdict, sharing=share)
    return verdict


def _mean(contract: Contract) -> float:
    """The mean outcome of the training rows: what the card says of it is a claim like any other."""
    return float(pq.read_table(TRAIN, columns=[contract.target])[contract.target].to_pandas().mean())


def _opponents(challenger: Loaded, champion: Version | None, base: str | None, case: str) -> Iterator[Loaded]:
    """The champion first, then the base's model if it is neither the champion's nor the challenger's."""
    known = {challenger.sha256}
    if champion:
        if not champion.proof:
            raise PerenneError(
                f"{champion.name}@{champion.version}: the tag holds no proof, so it is no champion"
            )
        sha256 = champion.proof["model"]["sha256"]
        yield contenders.of(champion.commit, f"{champion.version} in {PROD}", case, sha256)
        known.add(sha256)
    if base:
        loaded = contenders.of(base, f"base {git.commit(base)[:7]}", case)
        if loaded.sha256 not in known:
            yield loaded


def _intent(rules: Policy, change: Change | None) -> Intent:
    """The same recipe on newer data need only be as good; anything else must be better."""
    if rules.intent != "auto":
        return rules.intent
    return "fresher" if change and change.kind == "patch" else "better"


def _described(rows: pd.DataFrame, contract: Contract) -> dict[str, Any]:
    """Which holdout it is. A label that is missing is no label: it could be any."""
    missing = rows[contract.target].isna()
    if missing.any():
        raise PerenneError(f"{HOLDOUT}: row {int(missing.argmax())} has no {contract.target}")
    hashes = ledger.hashes(rows, contract)
    return {
        "md5": locked.load().out(HOLDOUT).md5,
        "batches": hashes,
        "from": min(hashes),
        "to": max(hashes),
        "rows": len(rows),
        "blocks": len(set(evaluate.blocks(rows, contract))),
    }


def _why(answer: judge.Answer, findings: tuple[Finding, ...], champion: str | None) -> str:
    """The answer's reason in a line."""
    first = "" if champion else "; a first release, there is no champion to compare with"
    if answer == "eligible":
        return f"all rules pass{first}"
    decisive = {"rejected": "fail", "undecided": "undecided"}[answer]
    named = [found for found in findings if found.answer == decisive]
    if not named:
        return f"no rule has anything to judge{first}"
    return "; ".join(f"{found.rule} against {found.against}" for found in named) + first


def _finding(found: Finding) -> dict[str, Any]:
    return found._asdict() | {"parts": [_finding(part) for part in found.parts]}


def _metrics(evidence: Evidence, contract: Contract) -> dict[str, Any]:
    """The metrics of the challenger with their intervals, measured here and now."""
    return {name: _interval(evidence.measured(name)) for name in _names(contract)}


def _opponent(evidence: Evidence, opponent: Contender, contract: Contract) -> dict[str, Any]:
    """The metrics of an opponent on the same rows, and how much better the challenger's are."""
    found = {
        name: _interval(evidence.measured(name, opponent))
        | {"gain": _interval(evidence.compared(name, opponent))}
        for name in _names(contract)
    }
    return {"name": opponent.name, "size": opponent.size, "metrics": found}


def _names(contract: Contract) -> list[str]:
    """The metrics of a task that there is an interval for, in the order of the report."""
    return [name for name in contract.task.metrics if name in INFLUENCE]


def _interval(found: Gain) -> dict[str, Any]:
    low, high = found.bounds((1 - CONFIDENCE) / 2)
    return {"value": found.value, "low": low, "high": high}
