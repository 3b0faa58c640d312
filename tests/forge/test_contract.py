"""One behaviour for every Git host: the same tests for GitHub and for the double that other tests use."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from perenne import forge
from perenne.common.errors import PerenneError
from perenne.forge.github import GitHub
from perenne.forge.port import CommitStatus, Forge, PullRequest
from tests.forge.double import Double, Release, Started
from tests.forge.standin import StandIn, stand_in

HEAD = "a" * 40


WORLDS: dict[type[Forge], Callable[[Path, pytest.MonkeyPatch], Double | StandIn]] = {
    Double: lambda *_: Double(),
    GitHub: stand_in,
}


@pytest.fixture(params=WORLDS, ids=lambda side: side.__name__)
def world(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Double | StandIn:
    """Return a Git host with other people on it."""
    return WORLDS[request.param](tmp_path, monkeypatch)


@pytest.fixture
def host(world: Double | StandIn) -> Forge:
    """Return the port to it."""
    return world if isinstance(world, Double) else world.host


def test_every_host_is_tested_here() -> None:
    """A host that is added needs a stand-in."""
    assert set(WORLDS) == {*forge.FORGES, Double}


def test_every_method_of_the_port_has_a_test_here() -> None:
    """A method that is added to the port needs one, or the double could differ from GitHub."""
    source = inspect.getsource(sys.modules[__name__])
    missing = [name for name in Forge.__abstractmethods__ if not re.search(rf"host\.{name}\b", source)]
    assert missing == []


def test_environment_without_a_host_has_none(host: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal has no variables of a Git host."""
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    assert host.from_environment() is None
    assert host.repository == "ada/perenne"


def test_pull_request_is_opened_and_closed(host: Forge) -> None:
    """It is found by its branch, also when it is closed."""
    number = host.open_pull_request("topic", "main", "A title", "a text")
    (pull,) = host.pull_requests("ada/perenne", "topic")
    assert pull._replace(head="") == PullRequest(number, "open", "ada/perenne", "topic", "", "main")
    assert host.open_pull_requests() == [pull]
    host.close_pull_request(number)
    assert host.pull_requests("ada/perenne", "topic") == [pull._replace(state="closed")]
    assert host.open_pull_requests() == []


def test_pull_requests_of_other_repositories_are_others(world: Double | StandIn, host: Forge) -> None:
    """The same branch name in a fork, in another repository of the same owner, or in one that was deleted."""
    repositories = ["ada/perenne", "eve/perenne", "ada/other", None]
    numbers = [world.requested("topic", HEAD, repository=repository) for repository in repositories]
    for repository, number in zip(repositories[:3], numbers, strict=False):
        assert [pull.number for pull in host.pull_requests(repository or "", "topic")] == [number]
    assert host.pull_requests("ada/perenne", "other") == []
    assert [pull.repository for pull in host.open_pull_requests()] == repositories
    assert {pull.head for pull in host.open_pull_requests()} == {HEAD}


def test_files_that_a_pull_request_changes_are_listed(world: Double | StandIn, host: Forge) -> None:
    """By their paths; a renamed file by both of its names."""
    number = world.requested("topic", files=["README.md", "a b/c.py", "old.py -> new.md"])
    assert host.changed_files(number) == (["README.md", "a b/c.py", "old.py", "new.md"], True)


def test_list_of_changed_files_says_where_it_ends(world: Double | StandIn, host: Forge) -> None:
    """A host lists no more than some thousands: whoever judges by them must know that there may be others."""
    number = world.requested("topic", files=[f"{i}.md" for i in range(3_001)])
    changed = host.changed_files(number)
    assert (len(changed.paths), changed.complete) == (3_000, False)


def test_comments_are_own_or_of_others(world: Double | StandIn, host: Forge) -> None:
    """Only what the bot wrote is its own; an edit keeps the comment's place."""
    number, other = world.requested("topic"), world.requested("other")
    world.replied(number, "theirs")
    host.comment(number, "ours")
    host.comment(other, "elsewhere")
    theirs, ours = host.comments(number)
    assert [(each.body, each.own) for each in (theirs, ours)] == [("theirs", False), ("ours", True)]
    host.edit_comment(ours.id, "ours again")
    assert host.comments(number) == [theirs, ours._replace(body="ours again")]
    with pytest.raises(PerenneError):
        host.edit_comment(99, "nowhere")


def test_issue_is_opened_edited_and_closed(host: Forge) -> None:
    """The bot's own issue is a trusted one."""
    number = host.open_issue("A title", "a text")
    (issue,) = host.open_issues()
    assert issue == (number, "A title", "a text", True)
    host.edit_issue(number, "Another title", "another text")
    assert host.open_issues() == [issue._replace(title="Another title", body="another text")]
    host.comment(number, "the reason")
    assert [each.body for each in host.comments(number)] == ["the reason"]
    host.close_issue(number)
    assert host.open_issues() == []


def test_issue_is_trusted_if_its_author_has_rights(world: Double | StandIn, host: Forge) -> None:
    """A stranger can open one too; a pull request is not an issue."""
    world.requested("topic")
    maintainers = world.reported("theirs", "a text", trusted=True)
    strangers = world.reported("mine", "a text", trusted=False)
    assert [(issue.number, issue.trusted) for issue in host.open_issues()] == [
        (maintainers, True),
        (strangers, False),
    ]


def test_text_that_is_too_long_is_an_error(host: Forge) -> None:
    """Nothing is cut without a word; the longest text is accepted."""
    longest = "x" * host.comment_limit
    pull, issue = (
        host.open_pull_request("topic", "main", "A title", longest),
        host.open_issue("A title", longest),
    )
    host.comment(pull, longest)
    comment = host.comments(pull)[0].id
    for write in (
        lambda text: host.open_pull_request("other", "main", "A title", text),
        lambda text: host.open_issue("A title", text),
        lambda text: host.edit_issue(issue, "A title", text),
        lambda text: host.comment(pull, text),
        lambda text: host.edit_comment(comment, text),
    ):
        with pytest.raises(PerenneError):
            write(f"{longest}x")


def test_checks_are_started_by_name(world: Double | StandIn, host: Forge) -> None:
    """On a branch, against the one that it is to be merged into."""
    assert not host.starts_checks
    host.start_check("review", "topic", "main")
    host.start_check("tests", "topic", "main")
    assert world.started == [Started("review", "topic", "main"), Started("tests", "topic", "main")]


def test_status_is_attached_to_a_commit(world: Double | StandIn, host: Forge) -> None:
    """A description that is too long is cut: a status must not fail for its words."""
    status = CommitStatus("Review", "failure", "why " * 100, "https://example.org/run")
    host.set_status(HEAD, status)
    ((commit, known),) = world.statuses
    assert commit == HEAD
    assert known._replace(description="") == status._replace(description="")
    assert known.description
    assert status.description.startswith(known.description)


def test_newest_upload_is_downloaded(world: Double | StandIn, host: Forge, tmp_path: Path) -> None:
    """Of those under its name that have not expired."""
    assert host.upload(7, "review") is None
    for data, expired in ((b"first", False), (b"second!", False), (b"gone", True)):
        world.uploaded("review", data, expired=expired)
    world.uploaded("results", b"another")
    upload = host.upload(7, "review")
    assert upload
    assert (upload.name, upload.size) == ("review", len(b"second!"))
    host.download(upload, tmp_path / "review.zip")
    assert (tmp_path / "review.zip").read_bytes() == b"second!"


def test_release_page_is_made_once(world: Double | StandIn, host: Forge, tmp_path: Path) -> None:
    """With its notes and its files; a tag may look like an option."""
    file = tmp_path / "metrics.json"
    file.write_text("{}")
    for tag in ("rain@v1.0.0", "--help"):
        assert not host.has_release(tag)
        host.release(tag, "rain v1.0.0", "- better", [file])
        assert host.has_release(tag)
    assert world.releases[0] == Release("rain@v1.0.0", "rain v1.0.0", "- better", ("metrics.json",))
