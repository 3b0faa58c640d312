"""The review of a pull request, in its own run: read-only, without a secret, whatever its code does."""

from __future__ import annotations

from pathlib import Path

from perenne.actions import handover
from perenne.common import notes
from perenne.common.errors import PerenneError
from perenne.common.names import REVIEW_PAGE
from perenne.forge import runner
from perenne.pages import review as page
from perenne.registry import tags
from perenne.review import review

OUT = Path("review")
PASSES = ("eligible", "unchanged", "undecided")
"""The answers that leave the check green: undecided is for the people who read the page."""


def fetch() -> str:
    """Bring tags and looks, while there is a token to ask with: the review itself needs none."""
    with runner.rights():
        tags.fetch()
        notes.fetch()
    return "the tags and the looks at holdouts are those of the origin"


def review_pull_request() -> str:
    """Review the commit that is checked out against the branch that it is to be merged into.

    Raises
    ------
    PerenneError
        If the check must fail: the headline says why.

    """
    happened = runner.event()
    # By name it is started for a pull request whose own event starts nothing: that of a retraining.
    base = happened["inputs"]["base"] if "inputs" in happened else happened["pull_request"]["base"]["ref"]
    found = review.review(f"refs/remotes/origin/{base}", offline=True)
    review.write(found, OUT)
    runner.summary((OUT / REVIEW_PAGE).read_text(encoding="utf-8"))
    if found.lock == "stale":
        handover.pack(OUT / handover.NAME, f"refs/remotes/origin/{base}")
    if found.answer not in PASSES:
        raise PerenneError(page.headline(found))
    return page.headline(found)
