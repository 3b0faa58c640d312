"""What people do in the scenarios, and how a run is expected to end."""

from __future__ import annotations

from tests.project import Project
from tests.workflows.hub import TOKEN, Hub, Pull, Run

GOOD, WORSE = 60, 1  # boosting rounds; the champion has 3


def rounds(project: Project, number: int, *, repro: bool = True) -> None:
    """Commit another number of rounds."""
    project.edit(r"max_iter: \d+", f"max_iter: {number}")
    if repro:
        project.repro()
    project.commit(f"{number} rounds")


def notes(project: Project) -> None:
    """Commit what the model does not depend on."""
    project.write("NOTES.md", "# Notes\n")
    project.commit("notes")


def ended(run: Run, *, passed: bool = True) -> Run:
    """Return a run that ended as it must; else fail with all that act has printed."""
    assert run.passed is passed, run.log
    assert TOKEN not in run.log
    return run


def reviewed(hub: Hub, pull: Pull, *, passed: bool = True) -> Run:
    """Return the review of a pull request, commented on."""
    review = ended(hub.review(pull), passed=passed)
    ended(hub.comment(pull, review))
    return review


def comment(hub: Hub, pull: Pull) -> str:
    """Return the text of the only comment on a pull request."""
    (found,) = [one for one in hub.read("comments") if one["number"] == pull.number]
    return str(found["body"])
