"""Review: what a commit does to the model, rerun in a clean clone and judged by the base's policy."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from perenne.common import disk, git, locked, notes, sections
from perenne.common.errors import PerenneError
from perenne.common.names import LOCK, PROD, REVIEW_JSON, REVIEW_PAGE
from perenne.documents.review import Review, ReviewAnswer, Trust
from perenne.documents.verdict import Asker
from perenne.pages import review as page
from perenne.registry import costs, tags
from perenne.review import rerun, settings, sides, tried
from perenne.review.rerun import Rerun
from perenne.review.sides import Side


class Commits(NamedTuple):
    """The commit under review, the one to merge into, and their last common ancestor."""

    head: str
    base: str
    fork: str


def review(
    base: str,
    *,
    trust: Trust | None = None,
    push: bool = False,
    offline: bool = False,
    asker: Asker = "anyone",
) -> Review:
    """Review the commit that is checked out; its results are in the working tree afterwards.

    Changes are listed since the common ancestor with the base. The model must beat the base's current one and
    the one in prod. Policy and trust are those of the base: a change to them counts after the merge.

    Parameters
    ----------
    base
        The commit to merge into, such as `origin/main`.
    trust
        Overrides the base's `review.trust`.
    push
        Push the look at the holdout and the verdict in any case; else, if there is a remote.
    offline
        Do without the remote: tags and looks are not fetched, nor is the look pushed.
    asker
        Whose alpha the look at the holdout spends: see `ledger.look`.

    Returns
    -------
    Review
        If the gate cannot judge the model, the answer is `could not judge` and `error` says why.

    Raises
    ------
    PerenneError
        If files are not committed, or the base is not a commit.

    """
    changed = git.changes()
    if changed:
        raise PerenneError(
            f"{changed[0]}: not committed ({len(changed)} file(s) in all); only a commit is reviewed"
        )
    commits = _commits(base)
    trust = trust or settings.load(commits.base).trust
    if _lock(commits.head) == _lock(commits.fork) and rerun.current(commits.head):
        return _described(commits, trust, Rerun("not run"), "unchanged")
    if not offline:
        tags.fetch()
        notes.fetch()
    run = _results(commits, trust)
    if run.lock == "not reproducible":
        return _described(commits, trust, run, "not reproducible")
    if _models(None) == _models(commits.fork):
        return _described(commits, trust, run, "unchanged")
    described = _described(commits, trust, run, "could not judge")
    share = notes.pushed(asked=push, offline=offline)
    return _judged(_validated(described), share=share, asker=asker)


def write(review: Review, folder: Path) -> None:
    """Write review.json and review.md into a folder, each whole or not at all."""
    review.write(folder / REVIEW_JSON)
    with disk.replacing(folder / REVIEW_PAGE) as temporary:
        temporary.write_text(page.page(review), encoding="utf-8")


def _commits(base: str) -> Commits:
    head, onto = git.commit("HEAD"), git.commit(base)
    try:
        return Commits(head, onto, git.git("merge-base", onto, head))
    except PerenneError:  # a shallow clone does not reach back so far
        return Commits(head, onto, onto)


def _results(commits: Commits, trust: Trust) -> Rerun:
    """Put the commit's results into the working tree: of a rerun, or those that the lock names."""
    if trust == "lock":
        rerun.pull()
        return Rerun("not run")
    run = rerun.rerun(commits.head)
    if run.lock != "not reproducible":
        rerun.bring(run.made)
        costs.record(run.made, run.costs)
    return run


def _validated(review: Review) -> Review:
    """The review with the figures of validation, beside the models that the gate will compare with."""
    from perenne.review import pairing  # as for the gate

    try:
        champion = tags.read(review.case).in_stage(PROD)
        contract = sections.contract_of(review.case)
    except PerenneError:  # the gate will say why
        return review
    rivals = {f"{champion.version} in {PROD}": champion.commit} if champion else {}
    known = {_models(None), _models(champion.commit) if champion else None}
    if sides.case_of(Side(review.base)) == review.case and _models(review.base) not in known:
        rivals[f"base {review.base[:7]}"] = review.base
    return review.model_copy(update={"validation": pairing.validated(Side(None), rivals, contract)})


def _judged(review: Review, *, share: bool, asker: Asker) -> Review:
    """The review with the gate's verdict, or why there is none: that does not count as a pass."""
    from perenne.gate import (
        gate,
    )  # it imports scikit-learn: two seconds that an unchanged model need not wait

    base = review.base
    comparable = sides.case_of(Side(base)) == review.case and _models(base)
    try:
        onto = base if comparable else None
        verdict = gate.gate(base=onto, policy_from=base, share=share, offline=True, asker=asker)
    except PerenneError as error:
        return review.model_copy(update={"answer": "could not judge", "error": str(error)})
    return review.model_copy(update={"answer": verdict.answer, "gate": verdict})


def _described(commits: Commits, trust: Trust, run: Rerun, answer: ReviewAnswer) -> Review:
    """What the commit changes, and what it costs, whatever the verdict."""
    old, new = Side(commits.fork), Side(None)
    before = _lock(commits.fork)
    case = sides.case_of(new)
    return Review(
        case=case,
        answer=answer,
        **commits._asdict(),
        trust=trust,
        lock=run.lock,
        findings=run.findings,
        costs={stage: (cost.seconds, cost.megabytes) for stage, cost in run.costs.items()},
        costs_before=costs.recorded(before) if before else {},
        params=sides.params(old, new),
        contract=sides.contract(old, new, case),
        data=sides.data(old, new),
        plots=sides.plots(new),
        drift=sides.drift(new),
        drift_before=sides.drift(old),
        tried=tried.tried(commits.base, commits.head),
        files=tuple(git.git("diff", "--name-only", commits.fork, commits.head).splitlines()),
    )


def _lock(rev: str) -> bytes | None:
    try:
        return git.show(rev, LOCK)
    except PerenneError:
        return None


def _models(rev: str | None) -> tuple[str, str] | None:
    """The MD5 of the models of a commit or of the working tree (None); None if its lock has none."""
    try:
        return locked.load(rev).models
    except PerenneError:
        return None
