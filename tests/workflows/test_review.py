"""What a pull request sees: the real review.yml and comment.yml, run by act."""

from __future__ import annotations

from tests.project import Project
from tests.workflows.hub import Hub, Run


def rounds(project: Project, number: int) -> None:
    """Commit another number of boosting rounds, reproduced."""
    project.edit(r"max_iter: \d+", f"max_iter: {number}")
    project.repro()
    project.commit(f"{number} rounds")


def body(hub: Hub) -> str:
    """Return the text of the only comment."""
    (comment,) = hub.read("comments")
    return str(comment["body"])


def expect(run: Run, *, passed: bool = True) -> None:
    """Fail with all that act has printed, unless a run ended as it must."""
    assert run.passed is passed, run.log


def test_documentation_only(hub: Hub) -> None:
    """(6) The model is unchanged: said in seconds, and nothing is run again."""
    hub.work.write("NOTES.md", "# Notes\n")
    hub.work.commit("notes")
    pull = hub.open("notes")
    review = hub.review(pull)
    expect(review)
    assert "the model is unchanged" in review.log
    assert "Running stage" not in review.log
    expect(hub.comment(pull, review))
    assert body(hub).startswith("<!-- perenne review -->\n\n✅ The review has passed")
    assert "the model is unchanged" in body(hub)
