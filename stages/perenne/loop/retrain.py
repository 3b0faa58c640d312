"""Retrain: what the monitor calls for is trained, judged, and offered; or it is said what is needed instead.

Safe to be killed anywhere and begun again: what is done is in Git (notes, a branch, tags) and is found there,
what is not done yet is done. No step's result depends on when it is made.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from perenne.common import git, periods
from perenne.loop import attempt, degraded, history, issue, monitor, offer, settings, show, worktree
from perenne.loop.attempt import Tried
from perenne.loop.history import Attempt
from perenne.loop.monitor import Monitored

STATUS = {"nothing": 0, "look": 0, "eligible": 0, "rejected": 1, "undecided": 3}


class Outcome(NamedTuple):
    """What has come of it, in lines for people, and the decision that it began with."""

    answer: str
    told: tuple[str, ...]
    decision: Monitored


def retrain(now: datetime, through: str | None = None, *, push: bool = False) -> Outcome:
    """Do what the monitor calls for, on top of the commit that is checked out; nothing is touched here.

    Parameters
    ----------
    now, through
        As for `monitor`.
    push
        Share it: the branch, the tags, the looks, and on GitHub the pull request or the issue.

    Raises
    ------
    PerenneError
        If another process is retraining here, or a step fails: what is done so far is kept.

    """
    base, onto = git.commit("HEAD"), git.git("branch", "--show-current") or offer.default_branch()
    with worktree.opened(base):
        found = monitor.monitor(now, through)
        step(f"monitor: {show.headline(found)}")
        if found["answer"] != "retrain":
            told = _settled(base, onto, found) if push else []
            return Outcome(found["answer"], (show.headline(found), *told), found)
        if not found["candidates"]:
            return Outcome("undecided", (show.headline(found),), found)
        return _outcome(base, onto, found, push=push)


def step(said: str) -> None:
    """Say on stderr that a step is done."""
    print(said, file=sys.stderr, flush=True)


def _settled(base: str, onto: str, found: Monitored) -> list[str]:
    """Do what a release leaves to be done, if it was not done at once."""
    told = [f"follow: {said}" for said in offer.follow(base, onto, found)]
    told += [f"issue: {said}" for said in issue.settle(found["case"])]
    for said in told:
        step(said)
    return told


def _outcome(base: str, onto: str, found: Monitored, *, push: bool) -> Outcome:
    case, champion = found["case"], found["champion"]["version"]
    known = history.of(case, champion, found["through"])
    tried: list[Tried] = []
    if known is None or known.answer == "eligible":  # the model itself is needed to go on with it
        tried = list(_tried(base, found, push=push))
        lines = tuple(one.line() for one in tried)
        known = Attempt(champion, found["through"], _together([one["answer"] for one in lines]), lines)
        history.record(case, known, sharing=push)
        step(f"noted: {known.answer}")
    told = [show.tried(line) for line in known.tried]
    match known.answer:
        case "eligible":
            told += _offered(base, onto, found, tried[-1], push=push)
        case "rejected":
            told += degraded.degrade(found, known, push=push, step=step)
        case _:
            told.append(show.waiting(known))
    return Outcome(known.answer, tuple(told), found)


def _tried(base: str, found: Monitored, *, push: bool) -> Iterator[Tried]:
    """The candidates, one after the other, until one is eligible: what need not be looked at is not."""
    for candidate in found["candidates"]:
        one = attempt.attempt(base, found, candidate, share=push)
        step(f"gate: {one.name}: {one.answer}: {one.why}")
        yield one
        if one.answer == "eligible":
            return


def _together(answers: list[str]) -> str:
    """One that is eligible is enough; all must be rejected before people are asked for another model."""
    for answer in ("eligible", "undecided"):
        if answer in answers:
            return answer
    return "rejected"


def _offered(base: str, onto: str, found: Monitored, one: Tried, *, push: bool) -> list[str]:
    branch = f"retrain/{found['case']}-{periods.stem(periods_of(found))}"
    commit = offer.branch(branch, one.commit, push=push)
    step(f"branch: {branch} is {commit[:7]}")
    if settings.load(base).on_eligible == "release":
        return offer.release(base, onto, branch, commit, found, push=push, step=step)
    return offer.pull_request(onto, branch, commit, found, one, push=push, step=step)


def periods_of(found: Monitored) -> Any:
    """The `as_of` of a retraining."""
    from perenne.common.sections import contract_of

    return periods.parse(found["through"], contract_of(found["case"]).period, "through")
