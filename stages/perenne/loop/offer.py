"""Offer an eligible model: a branch that holds it, then a pull request or a release."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.util import find_spec

from perenne import forge
from perenne.common import extras, git, locked, names, notes
from perenne.common.errors import PerenneError
from perenne.documents.decision import MonitorDecision
from perenne.forge.port import Check, Forge
from perenne.loop import issue, settings, show, worktree
from perenne.loop.attempt import JudgedCandidate
from perenne.registry import reproduce, storage
from perenne.release import release as registry
from perenne.serving import smoke

Step = Callable[[str], None]

CHECKS: tuple[Check, ...] = ("review", "tests")
"""The checks that are started by name if opening the pull request starts none."""


def branch(name: str, commit: str, *, push: bool) -> str:
    """Make a branch that holds a commit, and push it if `push`; return the commit that the branch holds.

    If the branch exists already, its commit is kept, provided that its model is the same.

    Raises
    ------
    PerenneError
        If the branch holds another model.

    """
    remote = git.remote() if push else None
    ref = f"refs/heads/{name}"
    if remote:
        try:
            # Only as a new branch: a branch that somebody has pushed is never moved.
            git.git(
                *("push", "--quiet", "--no-follow-tags", f"--force-with-lease={ref}:"),
                *(remote, f"{commit}:{ref}"),
            )
        except PerenneError as error:
            git.git("fetch", "--quiet", "--no-tags", remote, f"+{ref}:refs/remotes/{remote}/{name}")
            theirs = git.commit(f"refs/remotes/{remote}/{name}")
            if theirs != commit:
                _must_be_the_same(name, theirs, commit, error)
                commit = theirs
    mine = git.git("for-each-ref", "--format=%(objectname)", ref)
    if mine and mine != commit:
        _must_be_the_same(name, mine, commit, None)
        return commit if remote else mine
    git.git("update-ref", ref, commit)
    return commit


def default_branch() -> str:
    """Return the branch that a clone of the remote starts with: a job checks out a commit without a branch.

    Git answers this for every remote, on a Git host or not. Empty if there is no remote.
    """
    remote = git.remote()
    listed = git.git("ls-remote", "--symref", remote, "HEAD") if remote else ""
    match = re.match(r"ref: refs/heads/(\S+)\t", listed)
    return match[1] if match else ""


def release(
    base: str, onto: str, name: str, commit: str, decision: MonitorDecision, *, push: bool, step: Step
) -> list[str]:
    """Release a commit, then move the branch that it started from to it, unless that branch has moved.

    Parameters
    ----------
    base
        The commit that the retraining started from: the policy is its.
    onto
        The branch that `base` was on.
    name
        The branch that holds the commit.
    commit
        What is released.
    decision
        The monitor's decision.
    push
        Push the tags and the branch, and close the issue that asks for experiments.
    step
        Reports each step when it is done.

    Returns
    -------
    Messages, one for each step.

    Raises
    ------
    PerenneError
        If the commit cannot be released, or the issue cannot be closed. A branch that cannot be moved is only
        a message.

    """
    worktree.fresh(commit)
    trial = _trial(decision.case)
    messages = [registry.release(stage=names.PROD, policy_from=base, push=push, dry_run=False, trial=trial)]
    if trial is None:
        messages[0] += f"; not tested in the server, which is not installed; {extras.install('serve')}"
    step(f"release: {messages[0]}")
    messages.append(_follow(onto, name, commit, push=push))
    step(f"follow: {messages[-1]}")
    return messages + (list(issue.settle(decision.case)) if push else [])


def _trial(case: str) -> registry.Trial | None:
    """The smoke test before a version is in prod; None if the service is not installed."""
    return smoke.smoke_tester(case) if find_spec("uvicorn") else None


def pull_request(
    onto: str,
    name: str,
    commit: str,
    decision: MonitorDecision,
    judged: JudgedCandidate,
    *,
    push: bool,
    step: Step,
) -> list[str]:
    """Open the one pull request of a branch, with the verdict as its text; earlier ones are closed.

    Parameters
    ----------
    onto
        The branch that it is to be merged into.
    name
        The branch that holds the commit.
    commit
        What is offered.
    decision
        The monitor's decision.
    judged
        The candidate, with its verdict.
    push
        Push the data and the notes, and open it; else a message says how.
    step
        Reports each step when it is done.

    Returns
    -------
    Messages, one for each step.

    Raises
    ------
    PerenneError
        If data or notes cannot be pushed, or the Git host refuses a request.

    """
    if not push:
        return [f"{name} holds it, as {commit[:7]}: push it and open a pull request"]
    if reproduce.has_remote():
        storage.push()
        step("data: pushed")
    notes.share()
    host, case = forge.current(), decision.case
    if host is None:
        return [f"{name} is pushed, as {commit[:7]}: open a pull request of it"]
    for pull in host.pull_requests(host.repository, name):
        message = f"#{pull.number} is the pull request of {name}; it is {pull.state}"
        return [message, *(_closed(host, case, name, pull.number) if pull.state == "open" else [])]
    body = show.pull_request(decision, judged.judged(), issue.number(host, case))
    title = f"Retrain {case} on the data through {decision.through}"
    started = _started(host, name, onto)  # first, since an open pull request means that all steps are done
    step(f"checks: {started}")
    number = host.open_pull_request(name, onto, title, body)
    step(f"pull request: #{number}")
    return [f"#{number} is opened: {title}", started, *_closed(host, case, name, number)]


def _closed(host: Forge, case: str, name: str, number: int) -> list[str]:
    """Close earlier retrainings that nobody merged: this one learned from all data that they learned from."""
    earlier = re.compile(rf"retrain/{re.escape(case)}-\d{{4}}[\w-]*")
    messages = []
    for pull in host.open_pull_requests():
        here = pull.repository == host.repository
        if here and earlier.fullmatch(pull.branch) and pull.branch < name:
            host.comment(pull.number, f"#{number} replaces this one: it learned from newer data as well.")
            host.close_pull_request(pull.number)
            messages.append(f"#{pull.number} is closed: #{number} replaces it")
    return messages


def _started(host: Forge, name: str, onto: str) -> str:
    """Start the checks of a branch by name, unless opening the pull request starts them."""
    if host.starts_checks:
        return "its checks start by themselves"
    for check in CHECKS:
        host.start_check(check, name, onto)
    return f"its checks are started by name: {', '.join(CHECKS)}"


def follow(base: str, onto: str, decision: MonitorDecision) -> list[str]:
    """Move a branch to the version that was released on top of it, if that was not done yet.

    Parameters
    ----------
    base
        The commit that the branch is at.
    onto
        The branch.
    decision
        The monitor's decision, which names the version in prod.

    Returns
    -------
    Messages, one for each step; none if nothing was to be done.

    """
    commit = decision.champion.commit
    ahead = commit != base and git.succeeds("merge-base", "--is-ancestor", base, commit)
    if settings.load(base).on_eligible != "release" or not ahead:
        return []
    return [_follow(onto, decision.champion.version, commit, push=True)]


def _follow(onto: str, name: str, commit: str, *, push: bool) -> str:
    remote = git.remote() if push else None
    merge = f"git merge --ff-only {name} brings its params"
    if not remote or not onto:
        return merge
    try:
        git.git("push", "--quiet", "--no-follow-tags", remote, f"{commit}:refs/heads/{onto}")
    except PerenneError as error:
        return f"{onto} of {remote} was not moved: {error}; merge {name} into it"
    return f"{onto} of {remote} is at it: git pull"


def _must_be_the_same(name: str, theirs: str, mine: str, error: PerenneError | None) -> None:
    new, known = (locked.load(rev).models for rev in (mine, theirs))
    if new != known:
        reason = f"; {error}" if error else ""
        raise PerenneError(
            f"{name}: holds another model already, in commit {theirs[:7]}: merge or delete the branch{reason}"
        )
