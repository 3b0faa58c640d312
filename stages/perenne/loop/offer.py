"""An eligible model on its way: a branch that holds it, then a pull request or the release itself."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from importlib.util import find_spec

from perenne.common import git, locked, names, notes
from perenne.common.errors import PerenneError
from perenne.documents.decision import MonitorDecision
from perenne.forge import gh
from perenne.loop import issue, settings, show, worktree
from perenne.loop.attempt import JudgedCandidate
from perenne.registry import reproduce, storage
from perenne.release import release as registry
from perenne.serving import smoke

Step = Callable[[str], None]

# The workflows that a pull request starts, where its own event starts none; with what they ask for.
CHECKS: dict[str, tuple[str, ...]] = {"review.yml": ("base",), "ci.yml": ()}


def branch(name: str, commit: str, *, push: bool) -> str:
    """Make the branch, here and in the remote; return the commit that it holds.

    Where somebody was quicker theirs is kept, if it is the same model.

    Raises
    ------
    PerenneError
        If the branch holds another model.

    """
    remote = git.remote() if push else None
    ref = f"refs/heads/{name}"
    if remote:
        try:
            # Only as a new branch: what somebody has pushed there is never moved.
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
    """The branch of the remote that a clone of it begins with: for a commit that is checked out alone."""
    remote = git.remote()
    told = git.git("ls-remote", "--symref", remote, "HEAD") if remote else ""
    found = re.match(r"ref: refs/heads/(\S+)\t", told)
    return found[1] if found else ""


def release(
    base: str, onto: str, name: str, commit: str, found: MonitorDecision, *, push: bool, step: Step
) -> list[str]:
    """Release the commit, then let the branch that it was made on follow, if that has not moved on."""
    worktree.fresh(commit)
    trial = _trial(found.case)
    told = [registry.release(stage=names.PROD, policy_from=base, push=push, dry_run=False, trial=trial)]
    if trial is None:
        told[0] += "; not tried in the server: pip install 'perenne[serve]' brings it"
    step(f"release: {told[0]}")
    told.append(_follow(onto, name, commit, push=push))
    step(f"follow: {told[-1]}")
    return told + (list(issue.settle(found.case)) if push else [])


def _trial(case: str) -> registry.Trial | None:
    """How a version is tried before it is in prod: None where the service is not installed."""
    return smoke.smoke_tester(case) if find_spec("uvicorn") else None


def pull_request(
    onto: str, name: str, commit: str, found: MonitorDecision, one: JudgedCandidate, *, push: bool, step: Step
) -> list[str]:
    """Open the one pull request of the branch, with the verdict as its text; those before it are closed."""
    by_hand = f"{name} holds it, as {commit[:7]}: push it and open a pull request"
    if not push:
        return [by_hand]
    if reproduce.has_remote():
        storage.push()
        step("data: pushed")
    notes.share()
    if not issue.on_github():
        return [f"{name} is pushed, as {commit[:7]}: open a pull request of it"]
    owner = os.environ["GITHUB_REPOSITORY"].split("/")[0]
    listed = gh.get(gh.path("pulls", state="all", head=f"{owner}:{name}", per_page=100))
    for pull in listed:
        told = [f"#{pull['number']} is the pull request of {name}; it is {pull['state']}"]
        return told + (_closed(found.case, name, pull["number"]) if pull["state"] == "open" else [])
    body = show.pull_request(found, one.judged(), issue.number(found.case))
    title = f"Retrain {found.case} on what is known by {found.through}"
    started = _started(name, onto)  # before it: who finds it open takes it that all is done
    step(f"checks: {started}")
    pull = gh.send("POST", gh.path("pulls"), {"title": title, "head": name, "base": onto, "body": body})
    step(f"pull request: #{pull['number']}")
    return [f"#{pull['number']} is opened: {title}", started, *_closed(found.case, name, pull["number"])]


def _closed(case: str, name: str, number: int) -> list[str]:
    """Close what earlier retrainings have offered and nobody merged: this one knows all that they did."""
    earlier = re.compile(rf"retrain/{re.escape(case)}-\d{{4}}[\w-]*")
    told = []
    for pull in gh.pages(gh.path("pulls", state="open", per_page=100)):
        head, other = pull["head"], pull["number"]
        here = head["repo"] is not None and head["repo"]["full_name"] == os.environ["GITHUB_REPOSITORY"]
        if here and earlier.fullmatch(head["ref"]) and head["ref"] < name:
            body = {"body": f"#{number} takes its place: it has learned from what came since."}
            gh.send("POST", gh.path("issues", other, "comments"), body)
            gh.send("PATCH", gh.path("pulls", other), {"state": "closed"})
            told.append(f"#{other} is closed: #{number} takes its place")
    return told


def _started(name: str, onto: str) -> str:
    """Start the checks: what GitHub's own token opens starts no workflow, but it may start one by name."""
    if os.environ.get("STARTS_WORKFLOWS") == "true":
        return "its checks start by themselves"
    for workflow, inputs in CHECKS.items():
        body = {"ref": name} | ({"inputs": dict.fromkeys(inputs, onto)} if inputs else {})
        gh.send("POST", gh.path("actions", "workflows", workflow, "dispatches"), body)
    return f"its checks are started by name: {', '.join(CHECKS)}"


def follow(base: str, onto: str, found: MonitorDecision) -> list[str]:
    """Let the branch follow to a commit that was released on top of it, if that was not done yet."""
    commit = found.champion.commit
    ahead = commit != base and git.succeeds("merge-base", "--is-ancestor", base, commit)
    if settings.load(base).on_eligible != "release" or not ahead:
        return []
    return [_follow(onto, found.champion.version, commit, push=True)]


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
    made, known = (locked.load(rev).out(names.MODEL).md5 for rev in (mine, theirs))
    if made != known:
        said = f"; {error}" if error else ""
        raise PerenneError(
            f"{name}: holds another model already, by commit {theirs[:7]}: merge it or delete it{said}"
        )
