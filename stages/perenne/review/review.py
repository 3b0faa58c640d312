"""Review: what a commit does to the model, reproduced from nothing and judged by the base's policy."""

from __future__ import annotations

from typing import Any, NamedTuple

from perenne.common import git, locked, notes
from perenne.common.errors import PerenneError
from perenne.common.names import LOCK, MODEL
from perenne.registry import costs, tags
from perenne.review import rerun, settings, sides
from perenne.review.rerun import Rerun
from perenne.review.settings import Trust
from perenne.review.sides import Side

Review = dict[str, Any]
"""In JSON's own types: what `review.json` holds and `review.md` shows."""

SCHEMA = 1
STATUS = {
    "eligible": 0,
    "unchanged": 0,
    "rejected": 1,
    "not reproducible": 1,
    "could not judge": 2,
    "undecided": 3,
}


class Commits(NamedTuple):
    """The commit that is reviewed, the one it is to be merged into, and the last one they share."""

    head: str
    base: str
    fork: str


def review(base: str, *, trust: Trust | None = None, push: bool = False, offline: bool = False) -> Review:
    """Review the commit that is checked out; its results are in the working tree afterwards.

    What it changes is told against the last commit that it shares with the base; its model must beat the
    base's as it is now, and the one in prod. Policy and trust are those of the base: what a change says
    about how it is to be judged counts from the merge on.

    Parameters
    ----------
    base
        The commit that the change is to be merged into, such as `origin/main`.
    trust
        Instead of the base's `review.trust`.
    push
        Share the look at the holdout and the verdict.
    offline
        Do not ask the remote for its tags and looks.

    Raises
    ------
    PerenneError
        If the working tree is not the commit's, or the base is none.

    """
    changed = git.changes()
    if changed:
        raise PerenneError(
            f"{changed[0]}: in no commit, as {len(changed)} file(s) are; only a commit is reviewed"
        )
    commits = _commits(base)
    trust = trust or settings.load(commits.base).trust
    found: Review = {
        "schema": SCHEMA,
        "case": sides.case_of(Side(None)),
        **commits._asdict(),
        "trust": trust,
    }
    if _lock(commits.head) == _lock(commits.fork) and rerun.current(commits.head):
        return found | _described(commits, Rerun("not run")) | {"answer": "unchanged", "gate": None}
    if not offline:
        tags.fetch()
        notes.fetch()
    run = _results(commits, trust)
    found |= _described(commits, run)
    if run.lock == "not reproducible":
        return found | {"answer": "not reproducible", "gate": None}
    if _model(None) == _model(commits.fork):
        return found | {"answer": "unchanged", "gate": None}
    return found | _judged(commits, found["case"], push=push)


def _commits(base: str) -> Commits:
    head, onto = git.commit("HEAD"), git.commit(base)
    try:
        return Commits(head, onto, git.git("merge-base", onto, head))
    except PerenneError:  # a shallow clone does not reach back so far
        return Commits(head, onto, onto)


def _results(commits: Commits, trust: Trust) -> Rerun:
    """Bring the commit's results into the working tree: run again, or as the lock has them."""
    if trust == "lock":
        rerun.pull()
        return Rerun("not run")
    run = rerun.rerun(commits.head)
    if run.lock != "not reproducible":
        rerun.bring(run.made)
        costs.record(run.made, run.costs)
    return run


def _judged(commits: Commits, case: str, *, push: bool) -> Review:
    """The gate's verdict, or why there is none: what cannot be judged does not pass."""
    from perenne.gate import verdict  # brings scikit-learn: two seconds that an unchanged model need not wait

    comparable = sides.case_of(Side(commits.base)) == case and _model(commits.base)
    try:
        judged = verdict.gate(
            base=commits.base if comparable else None, policy_from=commits.base, share=push, offline=True
        )
    except PerenneError as error:
        return {"answer": "could not judge", "error": str(error), "gate": None}
    return {"answer": judged["answer"], "gate": judged}


def _described(commits: Commits, run: Rerun) -> Review:
    """What the commit changes, and what it costs, whatever the verdict."""
    old, new = Side(commits.fork), Side(None)
    before = _lock(commits.fork)
    return {
        "lock": run.lock,
        "findings": list(run.findings),
        "costs": {stage: list(cost) for stage, cost in run.costs.items()},
        "costs_before": {stage: list(c) for stage, c in (costs.recorded(before) if before else {}).items()},
        "params": [changed._asdict() for changed in sides.params(old, new)],
        "contract": sides.contract(old, new, sides.case_of(new)),
        "data": [batch._asdict() for batch in found] if (found := sides.data(old, new)) is not None else None,
        "plots": sides.plots(new),
        "drift": sides.drift(new),
        "drift_before": sides.drift(old),
        "files": git.git("diff", "--name-only", commits.fork, commits.head).splitlines(),
    }


def _lock(rev: str) -> bytes | None:
    try:
        return git.show(rev, LOCK)
    except PerenneError:
        return None


def _model(rev: str | None) -> str | None:
    """The MD5 of a commit's model, or of the working tree's; None if its lock has none."""
    try:
        return locked.load(rev).out(MODEL).md5
    except PerenneError:
        return None
