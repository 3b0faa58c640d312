"""The one comment: on which pull request, in whose place, and below which words of the host's own."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from perenne.actions import comment_job
from perenne.actions.events import Run
from tests.actions.running import Runner
from tests.forge.double import Double

HEAD = "a" * 40
HERE = {"full_name": "ada/perenne", "default_branch": "main"}


def ended(owner: str = "ada", conclusion: str = "success", **facts: Any) -> dict[str, Any]:
    """Return the run of a review, as GitHub describes it."""
    return {
        "id": 5,
        "conclusion": conclusion,
        "head_sha": HEAD,
        "head_branch": "topic",
        "head_repository": {"full_name": f"{owner}/perenne", "owner": {"login": owner}},
        "html_url": "https://github.com/ada/perenne/actions/runs/5",
    } | facts


def commented(host: Double, runner: Runner, page: str = "## its words\n", **facts: Any) -> list[str]:
    """Return the texts of all comments after that of a run."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("review.md", page)
    host.uploaded("review", data.getvalue())
    runner.happens(workflow_run=ended(**facts), repository=HERE)
    comment_job.comment()
    return [comment.body for _, comment in host.said.values()]


def pulls(host: Double, **facts: Any) -> list[int]:
    """Return the pull requests that a run was about."""
    run = Run.model_validate(ended(**facts))
    return [pull.number for pull in comment_job.pull_requests(host, run)]


def test_pull_request_is_the_one_whose_head_was_reviewed(host: Double) -> None:
    """Not a fork's with the same branch, not one that has moved on, not one that is closed."""
    mine = host.requested("topic", HEAD)
    theirs = host.requested("topic", HEAD, repository="eve/perenne")
    host.requested("topic", "b" * 40)
    host.requested("topic", HEAD, repository="ada/other")
    host.requested("topic", HEAD, repository=None)
    host.requested("topic", HEAD, state="closed")
    assert pulls(host) == [mine]
    assert pulls(host, owner="eve") == [theirs]
    assert pulls(host, head_repository=None) == []
    assert pulls(host, head_branch=None) == []
    assert pulls(host, owner="bob") == []


def test_review_of_a_superseded_head_gets_no_comment(host: Double, runner: Runner) -> None:
    """The review of the newer head will write one."""
    host.requested("topic", "b" * 40)
    assert commented(host, runner) == []
    assert runner.written("output") == "stale=false\n"


def test_second_comment_replaces_the_first(host: Double, runner: Runner) -> None:
    """The marker alone does not make a comment ours: anybody can write it."""
    number = host.requested("topic", HEAD)
    forged, quoted = f"{comment_job.MARKER} mine", f"> {comment_job.MARKER}"
    host.replied(number, forged)
    host.replied(number, quoted, own=True)
    assert len(commented(host, runner)) == 3
    *others, mine = commented(host, runner, "## its later words\n", conclusion="failure")
    assert others == [forged, quoted]
    assert mine.startswith(f"{comment_job.MARKER}\n\n❌ The review has failed: [the run](https://github.com/")
    assert "its later words" in mine


WARNING = "This change edits more than settings and documents"

HARMLESS = [
    "params.yaml",
    "dvc.lock",
    "data/cases/rain/contract.yaml",
    "data/cases/rain/params.yaml",
    "data/incoming/rain/2025-12.csv.dvc",
    "README.md",
    ".github/SECURITY.md",
    ".github/docs/how to/start.md",
]


def test_change_of_other_than_harmless_files_is_announced_above_its_page(
    host: Double, runner: Runner
) -> None:
    """The page is the change's own word; the name of a file is only a name."""
    host.requested("topic", HEAD, files=[*HARMLESS, "stages/perenne/gate/[@eve](x).py"])
    (text,) = commented(host, runner)
    assert text.index(WARNING) < text.index("## its words")
    assert "README" not in text
    assert "@eve" not in text
    assert "](x)" not in text


def test_change_of_harmless_files_alone_is_not_announced(host: Double, runner: Runner) -> None:
    """What changes a model every day, and documentation."""
    host.requested("topic", HEAD, files=HARMLESS)
    (text,) = commented(host, runner)
    assert WARNING not in text


@pytest.mark.parametrize(
    "file",
    [
        *("stages/perenne/cli.py", "stages/perenne/pages/review.py", "stages/perenne/common/git.py"),
        *("stages/train.py", "stages/perenne/__init__.py", "stages/perenne/review/commands.py"),
        *("dvc.yaml", "pyproject.toml", "Makefile", "requirements.txt", "sitecustomize.py", "conftest.py"),
        *(".dvc/config", ".dvcignore", ".gitattributes", ".github/workflows/review.yml", "tests/x.py"),
        *("stages/perenne/pages/page.md", "data/cases/rain/x.py", "data/cases/rain/sub/contract.yaml"),
        *("x.dvc", "x/params.yaml", "README.md\n.py", "Params.yaml", "dvc.lock.py", "stages/README.md"),
        *("stages/perenne/gate/rules.py -> README.md", "README.md -> stages/rules.py"),
    ],
)
def test_every_other_file_is_announced(host: Double, runner: Runner, file: str) -> None:
    """Whatever it is called, and whichever of its two names it is: any code may write the page."""
    host.requested("topic", HEAD, files=[*HARMLESS, file])
    (text,) = commented(host, runner)
    assert WARNING in text


def test_list_of_files_that_is_full_is_announced(host: Double, runner: Runner) -> None:
    """The host lists no more, and the next one may be code."""
    host.requested("topic", HEAD, files=[f"{i}.md" for i in range(3_000)])
    (text,) = commented(host, runner)
    assert f"{WARNING} (files that the list leaves out, for it is full)" in text


@pytest.mark.parametrize("owner", ["ada", "eve"])
def test_comment_says_that_the_lock_is_committed(host: Double, runner: Runner, owner: str) -> None:
    """The author has to pull it; for a fork it is not committed, and its page says what to do."""
    host.requested("topic", HEAD, repository=f"{owner}/perenne")
    host.uploaded("results", b"")
    (text,) = commented(host, runner, owner=owner)
    assert (comment_job.COMMITTED in text) == (owner == "ada")
    assert runner.written("output") == f"stale={'true' if owner == 'ada' else 'false'}\n"


def test_comment_says_that_there_is_no_page(host: Double, runner: Runner) -> None:
    """A run may fail before it has written one."""
    host.requested("topic", HEAD)
    runner.happens(workflow_run=ended(conclusion="failure"), repository=HERE)
    comment_job.comment()
    ((_, comment),) = host.said.values()
    assert "The review ended before it had written its page" in comment.body


def test_longest_comment_is_one_that_the_host_accepts(host: Double, runner: Runner) -> None:
    """Whatever is in the page, and however many files the change has."""
    files = [f"stages/perenne/gate/{'&' * 200}{i}" for i in range(300)]
    host.requested("topic", HEAD, files=files)
    (text,) = commented(host, runner, "<" * 60_000)
    assert len(text) <= host.comment_limit
