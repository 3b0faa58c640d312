"""Retrain: train the monitor's candidates, judge them, and offer an eligible one; or say what is needed.

It may be killed anywhere and restarted: finished steps are in Git (notes, a branch, tags) and are not
repeated. No step's result depends on when it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import pandas as pd

from perenne.common import git, notes, periods
from perenne.common.sections import contract_of
from perenne.documents.decision import Attempt, AttemptAnswer, MonitorDecision, OfferedCut
from perenne.loop import attempt, degraded, history, issue, monitor, offer, settings, show, worktree
from perenne.loop.attempt import Build, JudgedCandidate
from perenne.loop.candidates import improves, rivals


class RetrainOutcome(NamedTuple):
    """The answer, its lines for people, and the decision that was acted on."""

    answer: str
    lines: tuple[str, ...]
    decision: MonitorDecision


def retrain(
    now: datetime, through: str | None = None, *, push: bool = False, build: Build | None = None
) -> RetrainOutcome:
    """Do what the monitor decides, on top of the commit that is checked out; the working tree is not changed.

    Parameters
    ----------
    now, through
        As for `monitor`.
    push
        Push the branch and the tags, and on GitHub open the pull request or the issue. Looks at the holdout
        are pushed without it, if there is a remote.
    build
        Makes the results of a candidate; by default the stages do.

    Returns
    -------
    The monitor's answer if it is not `retrain`; else that of the gate, `undecided` if it is too early for a
    candidate.

    Raises
    ------
    PerenneError
        If another process is retraining here, or a step fails; finished steps are kept.

    """
    base, onto = git.commit("HEAD"), git.git("branch", "--show-current") or offer.default_branch()
    with worktree.opened(base):
        decision = monitor.monitor(now, through)
        step(f"monitor: {show.headline(decision)}")
        if decision.answer != "retrain":
            lines = _settled(base, onto, decision) if push else []
            return RetrainOutcome(decision.answer, (show.headline(decision), *lines), decision)
        if not decision.candidates:
            return RetrainOutcome("undecided", (show.headline(decision),), decision)
        return _outcome(base, onto, decision, push=push, build=build or attempt.built_once())


def needed(decision: MonitorDecision) -> tuple[OfferedCut, ...]:
    """Return the candidates that have to be built: none if it is known already that none is eligible."""
    known = history.of(decision.case, decision.champion.version, decision.through)
    return decision.candidates if known is None or known.answer == "eligible" else ()


def step(line: str) -> None:
    """Print a line about a finished step on stderr."""
    print(line, file=sys.stderr, flush=True)


def _settled(base: str, onto: str, decision: MonitorDecision) -> list[str]:
    """Do the remaining steps after a release, if they were not done at once."""
    lines = [f"follow: {line}" for line in offer.follow(base, onto, decision)]
    lines += [f"issue: {line}" for line in issue.settle(decision.case)]
    for line in lines:
        step(line)
    return lines


def _outcome(base: str, onto: str, decision: MonitorDecision, *, push: bool, build: Build) -> RetrainOutcome:
    case, champion = decision.case, decision.champion.version
    known = history.of(case, champion, decision.through)
    judged: list[JudgedCandidate] = []
    if known is None or known.answer == "eligible":  # the model itself is needed to continue
        judged = list(_judged(base, decision, push=push, build=build))
        tried = tuple(candidate.line() for candidate in judged)
        answer = _together([line.answer for line in tried])
        known = Attempt(champion=champion, as_of=decision.through, answer=answer, tried=tried)
        history.record(case, known, sharing=push)
        step(f"noted: {known.answer}")
    lines = [show.tried(line) for line in known.tried]
    match known.answer:
        case "eligible":
            lines += _offered(base, onto, decision, judged[-1], push=push)
        case "rejected":
            lines += degraded.degrade(decision, known, push=push, step=step)
        case _:
            lines.append(show.waiting(known))
    return RetrainOutcome(known.answer, tuple(lines), decision)


def _judged(base: str, decision: MonitorDecision, *, push: bool, build: Build) -> Iterator[JudgedCandidate]:
    """The candidates with their verdicts, up to the first eligible one: each further look costs alpha."""
    share = notes.pushed(asked=push)
    for candidate in _ordered(base, decision, build=build):
        judged = attempt.attempt(base, decision, candidate, share=share, build=build)
        line = judged.line()
        step(f"gate: {line.name}: {line.answer}: {line.why}")
        yield judged
        if line.answer == "eligible":
            return


def _ordered(base: str, decision: MonitorDecision, *, build: Build) -> list[OfferedCut]:
    """The candidates, the more promising first of those that are measured on the same rows."""
    offered = list(decision.candidates)
    if rivals(offered):
        cheaper, other = (attempt.measured(base, decision, each, build=build) for each in offered[:2])
        if cheaper is not None and other is not None:
            if improves(cheaper, other, contract_of(decision.case)):
                offered[:2] = offered[1], offered[0]
            step(f"validated: {offered[0].name} comes first")
    return offered


def _together(answers: list[AttemptAnswer]) -> AttemptAnswer:
    """One eligible candidate is enough; the retraining is rejected only if all candidates are."""
    if "eligible" in answers:
        return "eligible"
    return "undecided" if "undecided" in answers else "rejected"


def _offered(
    base: str, onto: str, decision: MonitorDecision, judged: JudgedCandidate, *, push: bool
) -> list[str]:
    branch = f"retrain/{decision.case}-{periods.stem(_as_of(decision))}"
    commit = offer.branch(branch, judged.commit, push=push)
    step(f"branch: {branch} is {commit[:7]}")
    if settings.load(base).on_eligible == "release":
        return offer.release(base, onto, branch, commit, decision, push=push, step=step)
    return offer.pull_request(onto, branch, commit, decision, judged, push=push, step=step)


def _as_of(decision: MonitorDecision) -> pd.Period:
    """The `as_of` of a retraining."""
    return periods.exact(decision.through, contract_of(decision.case).period, "through")
