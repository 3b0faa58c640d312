"""A candidate: trained in the worktree, committed, and judged by the gate.

Restarting is idempotent. A commit has the date of its parent, so the same retraining is the same commit. A
known verdict is not computed again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from perenne.cases.source import source_of
from perenne.common import batches, git, locked, sections
from perenne.common.errors import PerenneError
from perenne.common.names import HOLDOUT, INCOMING, LOCK, MODEL, PARAMS, PREDICTIONS, PROD
from perenne.common.sections import contract_of
from perenne.documents.decision import AttemptAnswer, CandidateVerdict, MonitorDecision, OfferedCut
from perenne.documents.verdict import Verdict
from perenne.gate import gate, ledger, policy
from perenne.gate.comparison import SpentError
from perenne.gate.ledger import Family
from perenne.loop import edit, worktree
from perenne.registry import reproduce, tags


class JudgedCandidate(NamedTuple):
    """A candidate and its verdict; `commit` reproduces it. `spent` says why there is no verdict."""

    name: str
    commit: str
    verdict: Verdict | None
    spent: str = ""

    @property
    def answer(self) -> AttemptAnswer:
        """The gate's answer; a retraining that makes the model in prod again is rejected."""
        if self.verdict is None:
            return "undecided"
        return "rejected" if self.verdict.answer == "unchanged" else self.verdict.answer

    @property
    def why(self) -> str:
        """The reason for it."""
        return self.verdict.why if self.verdict else self.spent

    def judged(self) -> Verdict:
        """Return the verdict; a `PerenneError` if there is none."""
        if self.verdict is None:
            raise PerenneError(self.spent)
        return self.verdict

    def line(self) -> CandidateVerdict:
        """The line about it in the notes."""
        waits = self.verdict is not None and self.answer == "undecided"
        return CandidateVerdict(
            name=self.name,
            answer=self.answer,
            why=self.why,
            more_blocks=self.verdict.more_blocks if self.verdict and waits else None,
        )


Build = Callable[[OfferedCut], None]
"""Puts a candidate's results into the worktree that is the current folder, which has its params."""


class UnbuildableError(PerenneError):
    """A stage fails on a candidate: of so few rows nothing can be made yet. Others may still be judged."""


def built(_candidate: OfferedCut) -> None:
    """Run the stages in the worktree that is the current folder.

    Raises
    ------
    UnbuildableError
        If a stage fails.

    """
    folder = Path.cwd()
    failed = reproduce.shown(["dvc", "repro"], folder, reproduce.environment(folder))
    if failed:
        raise UnbuildableError(reproduce.why(failed))


def built_once() -> Build:
    """Return a `Build` for one retraining: a candidate that it built before is checked out, by its lock.

    DVC's run cache would know it too, but takes as long as a short stage to look each one up.
    """
    locks: dict[OfferedCut, bytes] = {}

    def build(candidate: OfferedCut) -> None:
        if candidate in locks:
            LOCK.write_bytes(locks[candidate])
            folder = Path.cwd()
            reproduce.shown(["dvc", "checkout", "--quiet"], folder, reproduce.environment(folder))
        built(candidate)  # whatever is in no cache is made again
        locks[candidate] = LOCK.read_bytes()

    return build


def prepared(base: str, decision: MonitorDecision, candidate: OfferedCut) -> None:
    """Make the worktree that is the current folder a commit with a candidate's params; no stage is run."""
    worktree.fresh(base)
    edited(decision, candidate)
    keep_inputs()


def attempt(
    base: str, decision: MonitorDecision, candidate: OfferedCut, *, share: bool, build: Build = built
) -> JudgedCandidate:
    """Build a candidate on top of a commit, in the worktree that is the current folder, and judge it.

    Parameters
    ----------
    base
        The commit.
    decision
        Why there is a retraining.
    candidate
        Where to cut history.
    share
        Push the looks at the holdout.
    build
        Makes the results, or takes them from where they were made.

    Returns
    -------
    The candidate with its commit; without a verdict if it cannot be built, or if earlier looks have spent the
    holdout's alpha.

    """
    prepared(base, decision, candidate)
    try:
        build(candidate)
    except UnbuildableError as error:
        return JudgedCandidate(candidate.name, base, None, f"cannot be built: {error}")
    commit = committed(base, message(decision, candidate))
    try:
        return JudgedCandidate(candidate.name, commit, _judged(base, decision, share=share))
    except SpentError as error:
        return JudgedCandidate(candidate.name, commit, None, str(error))


def measured(
    base: str, decision: MonitorDecision, candidate: OfferedCut, *, build: Build = built
) -> pd.DataFrame | None:
    """Build a candidate as `attempt` does, and return its validation; None if there is none."""
    prepared(base, decision, candidate)
    try:
        build(candidate)
    except UnbuildableError:
        return None
    committed(base, message(decision, candidate))
    return batches.read_parquet(PREDICTIONS) if PREDICTIONS.is_file() else None


def edited(decision: MonitorDecision, candidate: OfferedCut) -> None:
    """Change `as_of` in params.yaml of the current folder, and the lines that have to change with it.

    Raises
    ------
    PerenneError
        If params.yaml lacks one of the keys.

    """
    values: dict[str, edit.Value] = {
        "split.as_of": candidate.as_of,
        "split.window": candidate.window,
        "split.holdout": candidate.holdout,
        "split.since": candidate.since,
        "split.recalibrated": candidate.recalibrated,
        "ingest.through": decision.through,
    }
    text = PARAMS.read_text(encoding="utf-8")
    PARAMS.write_text(edit.replaced(text, values, str(PARAMS)), encoding="utf-8")


def keep_inputs() -> None:
    """Add incoming files to DVC, as their user would; for sources without incoming files, do nothing."""
    p = sections.params()
    source = source_of(p.ingest, p.case)
    if not source.delivered:
        return
    folder = Path.cwd()
    env = reproduce.environment(folder)
    for path in sorted(source.incoming.rglob("*")):
        # What is hidden, such as .gitignore and .gitkeep, is none of the data; DVC ignores some of it.
        if path.is_file() and path.suffix not in (".dvc", ".md") and not path.name.startswith("."):
            known = path.with_name(f"{path.name}.dvc")
            command = ("commit", "--force", str(known)) if known.exists() else ("add", str(path))
            reproduce.dvc(folder, env, *command)


def committed(base: str, message: str) -> str:
    """Commit the changes of params, lock and incoming files, with the date of the commit below.

    Parameters
    ----------
    base
        The commit below.
    message
        The commit message.

    Returns
    -------
    The new commit; `base` if nothing has changed.

    """
    incoming = [str(path) for path in [INCOMING / sections.case()] if path.exists()]
    git.git("add", "--", str(PARAMS), str(LOCK), *incoming)
    if git.succeeds("diff", "--cached", "--quiet"):
        return base
    at = git.git("show", "--no-patch", "--format=%cd", "--date=raw", base)
    dates = {"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at}
    git.git("commit", "--quiet", "--no-verify", "--file=-", stdin=message, env=dates)
    return git.commit("HEAD")


def message(decision: MonitorDecision, candidate: OfferedCut) -> str:
    """The commit message: why there was a retraining."""
    subject = f"Retrain {decision.case} on the data through {decision.through}"
    reasons = "\n".join(f"- {reason}" for reason in decision.reasons)
    champion = decision.champion.version
    return f"{subject}\n\n{champion} is no longer right:\n{reasons}\n\nCandidate: {candidate.name}.\n"


def _judged(base: str, decision: MonitorDecision, *, share: bool) -> Verdict:
    sha256 = hashlib.sha256(MODEL.read_bytes()).hexdigest()
    rules = policy.load(base, contract_of(decision.case).task)
    intent, _ = gate.question(rules, tags.read(decision.case).in_stage(PROD), decision.case, base)
    lock = locked.load()
    released = hashlib.sha256(lock.released.read_bytes()).hexdigest()
    needed = (decision.champion.version, intent, rules.record(), lock.out(HOLDOUT).md5, released)
    for known in ledger.verdicts(sha256):
        other = (known.released or known.challenger).sha256
        if needed == (known.champion, known.intent, known.policy, known.holdout.md5, other):
            return known
    name = f"{decision.case} {decision.champion.version} {decision.through}"
    family = Family(name, len(decision.candidates))
    return gate.gate(policy_from=base, share=share, offline=True, asker="own", family=family)
