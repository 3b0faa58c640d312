"""The review as a page of Markdown: the verdict first, what explains it below, the long parts folded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from perenne.common import batches
from perenne.gate.show import plain
from perenne.review import sections
from perenne.review.review import Review

MARKDOWN, JSON = Path("review.md"), Path("review.json")
LIMIT = 60_000  # bytes: GitHub takes 65,536 characters, and what posts it adds some of its own

MARKS = {
    "eligible": "✅",
    "unchanged": "⬜",
    "rejected": "❌",
    "not reproducible": "❌",
    "undecided": "❔",
    "could not judge": "⚠️",
}


class Section(NamedTuple):
    """A part of the page: its title in plain text, its Markdown, and whether it is folded."""

    title: str
    body: str
    folded: bool = True


def headline(found: Review) -> str:
    """The verdict in one line that a manager understands."""
    return f"{found['case']}: {sections.headline(found)}"


def page(found: Review) -> str:
    """All that is known, in as much detail as fits."""
    head = [f"## {MARKS[found['answer']]} {plain(headline(found))}", *sections.warnings(found)]
    parts = [Section(*part) for part in sections.sections(found) if part[1]]
    foot = f"<sub>{_foot(found)}</sub>\n"
    return "\n\n".join([*head, *_fitting(parts, LIMIT - _size("\n\n".join([*head, foot]))), foot])


def write(found: Review, folder: Path) -> None:
    """Write both files, each whole or not at all."""
    batches.write_json(folder / JSON, found)
    with batches.replacing(folder / MARKDOWN) as temporary:
        temporary.write_text(page(found), encoding="utf-8")


def _fitting(parts: Iterable[Section], room: int) -> Iterable[str]:
    """The parts in their order; one that does not fit is named, and those behind it may still."""
    for part in parts:
        text = _folded(part) if part.folded else f"### {part.title}\n\n{part.body}"
        if _size(text) + 2 > room:
            text = f"- {part.title}: too long for a comment; it is in {JSON}"
        room -= _size(text) + 2
        yield text


def _folded(part: Section) -> str:
    return f"<details><summary>{part.title}</summary>\n\n{part.body}\n\n</details>"


def _size(text: str) -> int:
    return len(text.encode())


def _foot(found: Review) -> str:
    how = {
        "rerun": "every stage was run again from nothing",
        "lock": "nothing was run again: dvc.lock is believed",
    }[found["trust"]]
    ran = how if found["lock"] != "not run" or found["trust"] == "lock" else "no stage had to be run"
    return f"Commit {found['head'][:7]} against {found['base'][:7]}; {ran}. All figures are in {JSON}."
