"""The gate: is this commit's model proven better than the one in prod? A look, and a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from perenne.common import batches, git, locked, notes, sections
from perenne.common.block import Block, declared, labels_of
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.names import HOLDOUT, PREDICTIONS, PROD
from perenne.common.sections import contract_of
from perenne.documents.verdict import Asker, Holdout, Intent, Verdict
from perenne.gate import anchored, contenders, holdout_block, ledger, policy, refitted, shown, sketch
from perenne.gate.comparison import ModelComparison, SpentError, Terms
from perenne.gate.contenders import Loaded
from perenne.gate.ledger import Family
from perenne.gate.policy import Policy
from perenne.registry import tags, workspace
from perenne.registry.change import Change, between
from perenne.registry.tags import Version


def gate(
    *,
    base: str | None = None,
    policy_from: str | None = None,
    share: bool | None = None,
    offline: bool = False,
    asker: Asker = "anyone",
    opening: bool = False,
    family: Family | None = None,
) -> Verdict:
    """Judge the model of the working tree; record the look before it is made, and the verdict after it.

    Parameters
    ----------
    base
        A commit whose model must be beaten as well, such as the branch to be merged into.
    policy_from
        The commit whose params.yaml holds the policy; None: the working tree. A change must not be judged by
        a policy of its own.
    share
        Push the look and the verdict. None: if there is a remote, unless `offline`. What is not pushed counts
        here only, until it is: another clone may make the same look anew.
    offline
        Do without the remote: tags and looks are not fetched from it.
    asker
        Whose alpha the look spends, see `ledger.look`.
    opening
        Show all figures, and close the batches of the holdout: no other model can be proven on them.
    family
        The candidates of a retraining, which are one look.

    Returns
    -------
    Verdict
        As it is in the ledger. Batches that another commit has shown in validation (`gate.shown`) judge
        nothing, and are named. A model that is the champion's own is `unchanged`: no look is made.

    Raises
    ------
    PerenneError
        If the model cannot be judged: results are stale, a model is unavailable, no rule is configured, the
        ledger is incomplete, the look cannot be pushed, or no alpha is left, or no batch that was not shown
        (`comparison.SpentError`).

    """
    share = notes.pushed(offline=offline) if share is None else share
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
    rows, known = shown.unseen(batches.read_parquet(HOLDOUT), contract, name)
    if rows.empty and known:
        raise SpentError(f"{HOLDOUT}: {_known(known)}; move split.as_of")
    # Before the look: a file that cannot be read must cost none. A project may leave out the stage.
    validated = batches.read_parquet(PREDICTIONS) if PREDICTIONS.is_file() else None
    block = holdout_block.block_of(contract, rows, validated)
    terms = Terms(
        name,
        contract,
        rules,
        git.commit(policy_from) if policy_from else None,
        rows,
        validated,
        block,
        _described(rows, contract, block).model_copy(update={"shown": known}),
        champion,
        git.commit(base) if base else None,
        change,
        intent,
    )
    released = refitted.here(contract)
    if champion and (challenger.sha256, released.sha256) == (
        champion.proven.sha256,
        champion.released.sha256,
    ):
        return terms.verdict(
            challenger, released, "unchanged", f"this is {champion.version}, nothing to judge"
        )
    opponents = list(_opponents(challenger, terms))
    behind = anchored.of(registry, champion, terms) if champion and intent == "fresher" else None
    comparison = ModelComparison(terms, challenger, released, opponents, behind)
    if opening:
        verdict = comparison.opened(share=share, asker=asker)
    else:
        verdict = comparison.verdict(share=share, asker=asker, family=family)
    ledger.record(verdict, sharing=share)
    return verdict


def _opponents(challenger: Loaded, terms: Terms) -> Iterator[Loaded]:
    """The champion first, then the base's model if it is neither the champion's nor the challenger's."""
    known = {challenger.sha256}
    if terms.champion:
        tagged = refitted.of_champion(terms.champion, terms.name, terms.rows)
        yield contenders.of(terms.champion.commit, f"{terms.champion.version} in {PROD}", terms.name, tagged)
        known |= {terms.champion.proven.sha256, tagged.sha256}
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


def _known(known: Mapping[str, str]) -> str:
    """Which batches are no proof any more, and why."""
    commits = ", ".join(sorted({commit[:7] for commit in known.values()}))
    which = " to ".join(dict.fromkeys((min(known), max(known))))
    return f"{which} was in the window of commit {commits}, so its labels are known"


def _described(rows: pd.DataFrame, contract: Contract, block: Block) -> Holdout:
    """Which holdout it is; every row must have a label."""
    missing = rows[contract.target].isna()
    if missing.any():
        raise PerenneError(f"{HOLDOUT}: row {int(missing.argmax())} has no {contract.target}")
    hashes = ledger.hashes(rows, contract)
    md5 = locked.load().out(HOLDOUT).md5
    return Holdout(
        md5=md5,
        batches=hashes,
        first=min(hashes),
        last=max(hashes),
        rows=len(rows),
        blocks=len(np.unique(labels_of(rows, contract, block))),
        block=block.why,
        view=ledger.view(md5, contract),
        # What the contract says is in the view already.
        grouping=None
        if declared(contract)
        else block.model_dump_json(exclude={"why": True, "also": {"why"}}),
        sketch=sketch.sketch(rows, contract),
    )
