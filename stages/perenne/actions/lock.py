"""A reproduced `dvc.lock`, committed to the branch that lacks it: data, then the commit, then its status.

This job may write, so it runs nothing of the pull request: what its run has made comes as files, is taken for
no more than bytes that have an MD5, and goes where the default branch's settings say.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from perenne.actions import artifact, comment, handover, neutral
from perenne.common import git
from perenne.common.errors import PerenneError
from perenne.common.names import LOCK, REVIEW_PAGE
from perenne.forge import gh, runner
from perenne.pages.review import LIMIT
from perenne.registry import storage

CHECK = "Review"  # the name of the job in review.yml, which branch protection asks for
CI = "ci.yml"
MOST = 2_000_000_000  # bytes of the artifact
MOST_LOCK = 5_000_000
DESCRIPTION = 140  # characters, as GitHub has it


def lock() -> str:
    """Commit the lock that a review has reproduced; return what was done."""
    happened = runner.event()
    run = happened["workflow_run"]
    branch = handover.place(happened)
    if branch is None:
        return "a lock is committed to no fork, and not to the default branch: nothing to commit"
    if not comment.pull_requests(run):
        return f"no open pull request has {run['head_sha'][:7]} as its head any more: nothing to commit"
    with artifact.of(run["id"], handover.NAME, MOST) as found:
        if found is None:
            return f"{LOCK} was as committed: nothing to commit"
        runner.configure_dvc()
        made = found.text(str(LOCK), MOST_LOCK).encode()
        needed = handover.unpack(found, made)
    with runner.rights():
        sent = storage.send(needed)
        new = _commit(run, branch, made)
    _conclude(run, new)
    gh.send("POST", gh.path("actions", "workflows", CI, "dispatches"), {"ref": branch})
    return f"{new[:7]} is {run['head_sha'][:7]} with its {LOCK}; {sent} file(s) of data went to the remote"


def _commit(run: dict[str, Any], branch: str, made: bytes) -> str:
    """The commit on top of the one reviewed, pushed: it differs in the lock alone.

    Its files never lie here. The remote takes it only if the branch is still where it was.
    """
    remote = git.remote() or "origin"
    head = run["head_sha"]
    git.git("fetch", "--quiet", "--no-tags", "--depth=1", remote, head)
    blob = git.git("hash-object", "-w", "--stdin", stdin=made)
    with TemporaryDirectory(prefix="perenne-") as temporary:
        index = {"GIT_INDEX_FILE": str(Path(temporary) / "index")}
        git.git("read-tree", head, env=index)
        place = f"{git.git('rev-parse', '--show-prefix')}{LOCK}"
        git.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{place}", env=index)
        tree = git.git("write-tree", env=index)
    message = f"Reproduce {LOCK}\n\nMade by the review of {head}:\n{run['html_url']}\n"
    new = git.git("commit-tree", tree, "-p", head, "-F", "-", stdin=message)
    git.git("push", "--quiet", "--no-follow-tags", remote, f"{new}:refs/heads/{branch}")
    return new


def _conclude(run: dict[str, Any], new: str) -> None:
    """Attach the review's verdict: what a workflow pushes starts no other, so it has no check of its own."""
    gh.send(
        "POST",
        gh.path("statuses", new),
        {
            "state": "success" if run["conclusion"] == "success" else "failure",
            "context": CHECK,
            "description": _headline(run)[:DESCRIPTION],
            "target_url": run["html_url"],
        },
    )


def _headline(run: dict[str, Any]) -> str:
    """The first line of the page, in the change's own words; GitHub's word is the state beside it."""
    try:
        with artifact.of(run["id"], "review", comment.MOST_BYTES) as found:
            text = found.text(str(REVIEW_PAGE), LIMIT) if found else ""
    except PerenneError:
        text = ""
    first = next(iter(text.splitlines()), "")
    return neutral.seen(first.removeprefix("## ")) or f"reviewed at {run['head_sha'][:7]}"
