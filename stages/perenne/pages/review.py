"""The review as a page of Markdown: the answer first, then what explains it; long parts are folded."""

from __future__ import annotations

from collections.abc import Iterable

from perenne.common.names import REVIEW_JSON
from perenne.documents.review import Review, ReviewAnswer
from perenne.pages import review_parts
from perenne.pages.review_parts import PagePart
from perenne.pages.text import folded, plain

LIMIT = 60_000  # bytes: GitHub accepts 65,536 characters, and the comment adds some around the page

MARKS: dict[ReviewAnswer, str] = {
    "eligible": "✅",
    "unchanged": "⬜",
    "rejected": "❌",
    "not reproducible": "❌",
    "undecided": "❔",
    "could not judge": "⚠️",
}


def headline(review: Review) -> str:
    """Return the answer in one line that a manager understands."""
    return f"{review.case}: {review_parts.headline(review)}"


def page(review: Review) -> str:
    """Return the page, at most `LIMIT` bytes long: a part that does not fit is only named."""
    head = [f"## {MARKS[review.answer]} {plain(headline(review))}", *review_parts.warnings(review)]
    parts = [part for part in review_parts.parts(review) if part.body]
    foot = f"<sub>{_foot(review)}</sub>\n"
    return "\n\n".join([*head, *_fitting(parts, LIMIT - _size("\n\n".join([*head, foot]))), foot])


def _fitting(parts: Iterable[PagePart], room: int) -> Iterable[str]:
    """The parts in their order; one that does not fit is named, and later ones may still fit."""
    for part in parts:
        text = folded(part.title, part.body) if part.folded else f"### {part.title}\n\n{part.body}"
        if _size(text) + 2 > room:
            text = f"- {part.title}: too long for a comment; it is in {REVIEW_JSON}"
        room -= _size(text) + 2
        yield text


def _size(text: str) -> int:
    return len(text.encode())


def _foot(review: Review) -> str:
    how = {
        "rerun": "every stage was rerun in a clean clone",
        "lock": "nothing was rerun: dvc.lock is trusted",
    }[review.trust]
    ran = how if review.lock != "not run" or review.trust == "lock" else "no stage had to be run"
    return f"Commit {review.head[:7]} against {review.base[:7]}; {ran}. All figures are in {REVIEW_JSON}."
