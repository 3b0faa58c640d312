"""The one comment: on which pull request, in whose place, and under which words of GitHub's own."""

from __future__ import annotations

import zipfile
from typing import Any

import pytest

from perenne.actions import comment
from perenne.common.errors import PerenneError
from perenne.forge import gh
from tests.forge.running import Runner

HEAD = "a" * 40
HERE = {"full_name": "ada/perenne", "default_branch": "main"}
BOT = {"login": "github-actions[bot]"}


def pull(number: int, *, owner: str = "ada", sha: str = HEAD, branch: str = "topic") -> dict[str, Any]:
    """Return a pull request as GitHub tells of it."""
    user = {"login": owner}
    return {
        "number": number,
        "head": {"sha": sha, "ref": branch, "user": user, "repo": {"full_name": f"{owner}/perenne"}},
    }


def run(owner: str = "ada", conclusion: str = "success") -> dict[str, Any]:
    """Return the run of a review as GitHub tells of it."""
    return {
        "id": 5,
        "conclusion": conclusion,
        "head_sha": HEAD,
        "head_branch": "topic",
        "head_repository": {"full_name": f"{owner}/perenne", "owner": {"login": owner}},
        "html_url": "https://github.com/ada/perenne/actions/runs/5",
    }


def commented(runner: Runner, page: str = "## told\n", **facts: Any) -> list[str]:
    """Return the texts of all comments after that of a run."""
    with zipfile.ZipFile(runner.folder / "artifacts" / "review.zip", "w") as archive:
        archive.writestr("review.md", page)
    runner.happens(workflow_run=run(**facts), repository=HERE)
    comment.comment()
    found = runner.folder / "comments.json"
    return [one["body"] for one in runner.read("comments")] if found.exists() else []


def test_pull_request_is_the_one_whose_head_was_reviewed(runner: Runner) -> None:
    """A fork's with the same branch, and one that has moved on, are others."""
    runner.knows("pulls", [pull(7), pull(8, owner="eve"), pull(9, sha="b" * 40)])
    assert comment.pull_requests(run()) == [7]
    assert comment.pull_requests(run("eve")) == [8]
    assert comment.pull_requests(run() | {"head_repository": None}) == []
    elsewhere = pull(7) | {"head": pull(7)["head"] | {"repo": {"full_name": "ada/other"}}}
    runner.knows("pulls", [elsewhere])
    assert comment.pull_requests(run()) == []


def test_review_of_a_head_that_is_gone_is_not_told(runner: Runner) -> None:
    """A newer review is on its way."""
    runner.knows("pulls", [pull(9, sha="b" * 40)])
    assert commented(runner) == []
    assert runner.said("output") == "stale=false\n"


def test_second_comment_takes_the_place_of_the_first(runner: Runner) -> None:
    """The marker alone does not make a comment ours: anybody can write it."""
    runner.knows("pulls", [pull(7)])
    forged = {"id": 1, "number": 7, "user": {"login": "eve"}, "body": f"{comment.MARKER} mine"}
    quoted = {"id": 2, "number": 7, "user": BOT, "body": f"> {comment.MARKER}"}
    runner.knows("comments", [forged, quoted])
    assert len(commented(runner)) == 3
    *others, mine = commented(runner, "## told again\n", conclusion="failure")
    assert others == [forged["body"], quoted["body"]]
    assert mine.startswith(f"{comment.MARKER}\n\n❌ The review has failed: [the run](https://github.com/")
    assert "told again" in mine


def test_change_of_what_judges_is_told_above_its_page(runner: Runner) -> None:
    """The page is the change's own word; names of files are nothing but names."""
    runner.knows("pulls", [pull(7)])
    runner.knows(
        "files-7", [{"filename": name} for name in ("README.md", "stages/perenne/gate/[@eve](x).py")]
    )
    (text,) = commented(runner)
    warning, told = text.index("This change edits what judges it"), text.index("## told")
    assert warning < told
    assert "@eve" not in text
    assert "](x)" not in text


@pytest.mark.parametrize("owner", ["ada", "eve"])
def test_lock_that_is_committed_is_told(runner: Runner, owner: str) -> None:
    """Its author has to pull; a fork's has to commit it, as the page says."""
    runner.knows("pulls", [pull(7, owner=owner)])
    (runner.folder / "artifacts" / "results.zip").write_bytes(b"")
    (text,) = commented(runner, owner=owner)
    assert (comment.COMMITTED in text) == (owner == "ada")
    assert runner.said("output") == f"stale={'true' if owner == 'ada' else 'false'}\n"


def test_run_without_a_page_is_told(runner: Runner) -> None:
    """It may have failed before it had one."""
    runner.knows("pulls", [pull(7)])
    runner.happens(workflow_run=run(conclusion="failure"), repository=HERE)
    comment.comment()
    assert "It ended before it had written its page" in runner.read("comments")[0]["body"]


def test_longest_comment_is_one_that_github_takes(runner: Runner) -> None:
    """Whatever is in the page, and however many files the change has."""
    runner.knows("pulls", [pull(7)])
    names = [f"stages/perenne/gate/{'&' * 200}{i}" for i in range(300)]
    runner.knows("files-7", [{"filename": name} for name in names])
    (text,) = commented(runner, "<" * 60_000)
    assert len(text) <= comment.MOST


def test_what_gh_says_is_told(runner: Runner) -> None:
    """A request that GitHub refuses ends in a line with its reason."""
    assert runner.folder.exists()
    with pytest.raises(PerenneError, match=r"^gh api .*nothing: HTTP 404"):
        gh.get(gh.path("nothing"))
