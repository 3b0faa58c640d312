"""A reproduced `dvc.lock`, committed to the branch that lacks it: data, then the commit, then its status.

This job may write, so it runs no code of the pull request. What the pull request's run made arrives as files,
which are trusted as bytes with a known MD5 and nothing more, and which go where the default branch's settings
say.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from perenne import forge
from perenne.actions import artifact, comment_job, handover, neutral, runner
from perenne.actions.events import Run, RunEnded
from perenne.common import git
from perenne.common.errors import PerenneError
from perenne.common.names import LOCK, REVIEW_PAGE
from perenne.forge.port import CommitStatus, Forge
from perenne.pages.review import LIMIT
from perenne.registry import storage

CHECK = "Review"  # the name of the job in review.yml, which branch protection requires


def lock() -> str:
    """Commit the lock that a review has reproduced; return a message for the log.

    Raises
    ------
    PerenneError
        If the artifact is damaged or too large, the push of data or commit fails, or the branch has moved.

    """
    host, ended = forge.required(), runner.event(RunEnded)
    run, branch = ended.run, handover.branch_of(ended)
    if branch is None:
        return "a lock is never committed to a fork or to the default branch: nothing to commit"
    pulls = comment_job.pull_requests(host, run)
    if not pulls:
        return f"{run.commit} is not the head of an open pull request any more: nothing to commit"
    with artifact.downloaded(host, run.id, handover.NAME, handover.MOST) as results:
        if results is None:
            return f"{LOCK} was as committed: nothing to commit"
        runner.configure_dvc()
        reproduced = results.text(str(LOCK), handover.MOST_LOCK).encode()
        needed = handover.unpack(results, reproduced)
    with runner.rights():
        sent = storage.send(needed)
        new = _commit(run, branch, reproduced)
    # A push by the bot starts no workflow, so the commit gets the review's result, and its tests are started.
    host.set_status(new, CommitStatus(CHECK, _state(run), _headline(host, run), run.html_url))
    host.start_check("tests", branch, pulls[0].base)
    return f"{new[:7]} is {run.commit} with its {LOCK}; {sent} file(s) of data went to the remote"


def _commit(run: Run, branch: str, reproduced: bytes) -> str:
    """Push a commit on top of the reviewed one that differs in the lock only; return it.

    Its files are never checked out here. The remote accepts it only if the branch has not moved.
    """
    remote = git.remote() or "origin"
    head = run.head_sha
    git.git("fetch", "--quiet", "--no-tags", "--depth=1", remote, head)
    blob = git.git("hash-object", "-w", "--stdin", stdin=reproduced)
    with TemporaryDirectory(prefix="perenne-") as temporary:
        index = {"GIT_INDEX_FILE": str(Path(temporary) / "index")}
        git.git("read-tree", head, env=index)
        place = f"{git.git('rev-parse', '--show-prefix')}{LOCK}"
        git.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{place}", env=index)
        tree = git.git("write-tree", env=index)
    message = f"Reproduce {LOCK}\n\nMade by the review of {head}:\n{run.html_url}\n"
    new = git.git("commit-tree", tree, "-p", head, "-F", "-", stdin=message)
    git.git("push", "--quiet", "--no-follow-tags", remote, f"{new}:refs/heads/{branch}")
    return new


def _state(run: Run) -> Literal["success", "failure"]:
    return "success" if run.conclusion == "success" else "failure"


def _headline(host: Forge, run: Run) -> str:
    """The first line of the page, in the change's own words; the state beside it is GitHub's."""
    try:
        with artifact.downloaded(host, run.id, artifact.REVIEW, artifact.MOST_REVIEW) as review:
            text = review.text(str(REVIEW_PAGE), LIMIT) if review else ""
    except PerenneError:
        text = ""
    first = next(iter(text.splitlines()), "")
    return neutral.visible(first.removeprefix("## ")) or f"reviewed at {run.commit}"
