"""The review of a pull request, in its own run: read-only and without a secret, as it runs foreign code."""

from __future__ import annotations

from pathlib import Path

from perenne.actions import handover, runner
from perenne.actions.events import ReviewRequested
from perenne.common import notes
from perenne.common.errors import PerenneError
from perenne.common.names import REVIEW_PAGE
from perenne.pages import review as page
from perenne.registry import tags
from perenne.review import review

OUT = Path("review")
PASSES = ("eligible", "unchanged", "undecided")
"""The answers that leave the check green: `undecided` is left to the people who read the page."""


def fetch() -> str:
    """Fetch tags and looks while the job still has a token: the review itself runs without one."""
    with runner.rights():
        tags.fetch()
        notes.fetch()
    return "fetched the origin's tags and its looks at holdouts"


def review_pull_request() -> str:
    """Review the checked-out commit against the branch that it is to be merged into; return the headline.

    Raises
    ------
    PerenneError
        If the check must fail: the message is the headline.

    """
    event = runner.event(ReviewRequested)
    base = f"refs/remotes/origin/{event.base}"
    result = review.review(base, offline=True, asker=event.asker)
    review.write(result, OUT)
    runner.summary((OUT / REVIEW_PAGE).read_text(encoding="utf-8"))
    if result.lock == "stale":
        handover.pack(OUT / handover.NAME, base)
    if result.answer not in PASSES:
        raise PerenneError(page.headline(result))
    return page.headline(result)
