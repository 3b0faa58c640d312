"""The one comment on a pull request, from a page that anybody may have written.

This job may write comments, so it runs no code of the pull request. Which pull request it comments on is
taken from GitHub, never from the artifact.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from perenne import forge
from perenne.actions import artifact, handover, neutral, runner
from perenne.actions.events import Run, RunEnded
from perenne.common.errors import PerenneError
from perenne.common.names import REVIEW_PAGE
from perenne.forge.port import Forge, PullRequest
from perenne.pages.review import LIMIT

MARKER = "<!-- perenne review -->"
HEADER_ROOM = 5_000  # characters, for what stands above the page
HARMLESS = re.compile(
    r"params\.yaml|dvc\.lock"
    r"|data/cases/[^/]+/(?:contract|params|replay)\.yaml"
    r"|(?:data/.+)\.dvc"
    r"|[^/]+\.md|\.github/(?:[^/]+|docs/.+)\.md"
)
"""Files that no stage and no workflow runs. All others may change what a review writes: code by its imports,
`dvc.yaml` by its commands."""
COMMITTED = "The `dvc.lock` that this review made is committed to the branch: pull before you continue."
MOST_FILES, MOST_NAME = 10, 60  # files that are named, and characters of each name

STATES = {
    "success": "✅ The review has passed",
    "failure": "❌ The review has failed",
}


def comment() -> str:
    """Write the comment of a review's run, or update it; return a message for the log.

    Raises
    ------
    PerenneError
        If this is not a job of a workflow, or the Git host refuses a request.

    """
    host, ended = forge.required(), runner.event(RunEnded)
    run = ended.run
    pulls = pull_requests(host, run)
    committable = bool(pulls) and handover.branch_of(ended) is not None
    stale = committable and host.upload(run.id, handover.NAME) is not None
    runner.flag("stale", value=stale)
    if not pulls:
        return f"{run.commit} is not the head of an open pull request any more: no comment"
    review = _page(host, run)
    for pull in pulls:
        parts = [MARKER, _state(run), *[COMMITTED] * stale, *_warnings(host, pull.number), review]
        _put(host, pull.number, "\n\n".join(parts))
    return f"commented on {', '.join(f'#{pull.number}' for pull in pulls)}"


def pull_requests(host: Forge, run: Run) -> list[PullRequest]:
    """Return the open pull requests whose head is the commit that a run was about.

    The host is asked by branch, since the event names no pull request of a fork.
    """
    if run.head_repository is None or run.head_branch is None:
        return []
    pulls = host.pull_requests(run.head_repository.full_name, run.head_branch)
    return [pull for pull in pulls if pull.state == "open" and pull.head == run.head_sha]


def _page(host: Forge, run: Run) -> str:
    """The page of the artifact, neutralized; or what is wrong with it."""
    try:
        with artifact.downloaded(host, run.id, artifact.REVIEW, artifact.MOST_REVIEW) as review:
            if review is None:
                return "The review ended before it had written its page: see the run."
            text = review.text(str(REVIEW_PAGE), LIMIT)
    except PerenneError as error:
        return f"The page of the review is not shown: {neutral.line(str(error), 300)}."
    return neutral.neutral(text, host.comment_limit - HEADER_ROOM)


def _state(run: Run) -> str:
    """How the run has ended, by GitHub's own report, above everything that the page claims."""
    state = STATES.get(run.conclusion or "", "⚠️ The review was not finished")
    return f"{state}: [the run]({run.html_url}) of {run.commit}."


def _warnings(host: Forge, number: int) -> Iterable[str]:
    """Warn unless the pull request changes nothing but harmless files: else its code wrote the review."""
    changed = host.changed_files(number)
    others = [path for path in changed.paths if not HARMLESS.fullmatch(path)]
    if others or not changed.complete:
        names = [neutral.line(name, MOST_NAME) for name in others[:MOST_FILES]]
        if len(others) > MOST_FILES:
            names.append(f"{len(others) - MOST_FILES} more")
        if not changed.complete:
            names.append("files that the list leaves out, for it is full")
        yield (
            f"> [!WARNING]\n> This change edits more than settings and documents ({', '.join(names)}): "
            "read that first. The page below was written by the change's own code."
        )


def _put(host: Forge, number: int, body: str) -> None:
    """Edit the comment that is already there, or write the first one."""
    for known in host.comments(number):
        if known.own and known.body.startswith(MARKER):  # anybody can write the marker
            host.edit_comment(known.id, body)
            return
    host.comment(number, body)
