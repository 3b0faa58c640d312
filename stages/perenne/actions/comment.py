"""The one comment on a pull request, from a page that anybody may have written.

This job may write comments, so it runs nothing of the pull request, and it is GitHub, never the artifact,
that says which pull request it is about.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from perenne.actions import artifact, handover, neutral
from perenne.common.errors import PerenneError
from perenne.common.names import REVIEW_PAGE
from perenne.forge import gh, runner
from perenne.pages.review import LIMIT

MARKER = "<!-- perenne review -->"
MOST = 65_536  # characters of a comment, as GitHub has it
MOST_BYTES = 5_000_000  # of the artifact
ROOM = 5_000  # for what is said above the page
JUDGES = (
    *(f"stages/perenne/{room}/" for room in ("gate", "registry", "release", "review", "actions", "stats")),
    *(".github/", "Makefile", "requirements.txt"),
)
COMMITTED = "The `dvc.lock` that it made is committed to the branch: pull before you go on."
MOST_FILES, MOST_NAME = 10, 60  # that are named, and characters of each

STATES = {
    "success": "✅ The review has passed",
    "failure": "❌ The review has failed",
}


def comment() -> str:
    """Write the comment of a review's run, or bring it up to date; return what was done."""
    happened = runner.event()
    run = happened["workflow_run"]
    pulls = pull_requests(run)
    stale = bool(pulls and handover.place(happened)) and artifact.newest(run["id"], handover.NAME) is not None
    runner.output("stale", "true" if stale else "false")
    if not pulls:
        return f"no open pull request has {run['head_sha'][:7]} as its head any more: nothing to say"
    told = _page(run)
    for number in pulls:
        _put(number, "\n\n".join([MARKER, _state(run), *[COMMITTED] * stale, *_warnings(number), told]))
    return f"commented on {', '.join(f'#{number}' for number in pulls)}"


def pull_requests(run: dict[str, Any]) -> list[int]:
    """The open pull requests whose head is the commit that a run was about: GitHub says so, nobody else.

    Asked for by the branch, which a fork's has as well: the event names no pull request for those.
    """
    head = run["head_repository"]
    if head is None:  # a fork that is gone
        return []
    owner, branch = head["owner"]["login"], run["head_branch"]
    listed = gh.get(gh.path("pulls", state="open", head=f"{owner}:{branch}", per_page=100))
    return [
        int(pull["number"])
        for pull in listed
        if pull["head"]["sha"] == run["head_sha"]
        and (pull["head"]["repo"] or {}).get("full_name") == head["full_name"]
    ]


def _page(run: dict[str, Any]) -> str:
    """The page of the artifact without any effect, or what is wrong with it."""
    try:
        with artifact.of(run["id"], "review", MOST_BYTES) as found:
            if found is None:
                return "It ended before it had written its page: see the run."
            text = found.text(str(REVIEW_PAGE), LIMIT)
    except PerenneError as error:
        return f"Its page is not shown: {neutral.line(str(error), 300)}."
    return neutral.neutral(text, MOST - ROOM)


def _state(run: dict[str, Any]) -> str:
    """How the run has ended: GitHub's own words, before any of the page's."""
    state = STATES.get(run["conclusion"], "⚠️ The review was not finished")
    return f"{state}: [the run]({run['html_url']}) of {run['head_sha'][:7]}."


def _warnings(number: int) -> Iterable[str]:
    """What makes the page less than a witness: the change has edited what has written it."""
    files = [str(one["filename"]) for one in gh.pages(gh.path("pulls", number, "files", per_page=100))]
    judges = [name for name in files if name.startswith(JUDGES)]
    if judges:
        names = ", ".join(neutral.line(name, MOST_NAME) for name in judges[:MOST_FILES])
        more = f" and {len(judges) - MOST_FILES} more" if len(judges) > MOST_FILES else ""
        yield (
            f"> [!WARNING]\n> This change edits what judges it ({names}{more}): "
            "read that first. The page below is written by the change's own code."
        )


def _put(number: int, body: str) -> None:
    """Edit the comment that is there, and is ours; else write it."""
    for known in gh.pages(gh.path("issues", number, "comments", per_page=100)):
        # Anybody can write the marker.
        if known["user"]["login"] == runner.BOT and known["body"].startswith(MARKER):
            gh.send("PATCH", gh.path("issues", "comments", known["id"]), {"body": body})
            return
    gh.send("POST", gh.path("issues", number, "comments"), {"body": body})
