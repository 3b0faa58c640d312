"""GitHub behind the port: what the contract does not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from perenne.common.errors import PerenneError
from perenne.forge import gh
from perenne.forge.github import TRUSTED
from tests.forge.standin import StandIn, stand_in

BOT = {"login": "github-actions[bot]"}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Return the tests' GitHub."""
    return stand_in(tmp_path, monkeypatch)


def test_reason_of_a_refusal_is_reported(hub: StandIn) -> None:
    """A request that GitHub refuses ends in one line with its reason."""
    assert hub.folder.exists()
    with pytest.raises(PerenneError, match=r"^gh api .*nothing: HTTP 404"):
        gh.get(gh.path("ada/perenne", "nothing"))


def test_machine_without_gh_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In one line."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PerenneError, match=r"^gh: not found"):
        gh.get("nothing")


def test_key_that_is_missing_in_an_answer_is_named(hub: StandIn) -> None:
    """With the address, so that a change of GitHub's JSON is found quickly."""
    hub.add("comments", id=1, number=7, user=BOT)
    with pytest.raises(PerenneError, match=r"^repos/ada/perenne/issues/7/comments\S*: body: missing"):
        hub.host.comments(7)


@pytest.mark.parametrize("association", [*TRUSTED, "CONTRIBUTOR", "FIRST_TIMER", "MANNEQUIN", "NONE"])
def test_author_is_trusted_by_what_github_says_of_them(hub: StandIn, association: str) -> None:
    """One that GitHub adds later is not trusted; nor is a deleted account."""
    for user in ({"login": "eve"}, None):
        hub.add(
            "issues", number=1, title="", body=None, state="open", user=user, author_association=association
        )
    assert [issue.trusted for issue in hub.host.open_issues()] == [association in TRUSTED] * 2


def test_comment_of_a_deleted_account_is_of_others(hub: StandIn) -> None:
    """GitHub gives it no author."""
    hub.add("comments", id=1, number=7, user=None, body=None)
    assert [(each.body, each.own) for each in hub.host.comments(7)] == [("", False)]


def test_own_token_starts_the_checks(hub: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workflow says that there is one."""
    monkeypatch.setenv("STARTS_WORKFLOWS", "true")
    assert hub.host.starts_checks
    monkeypatch.setenv("STARTS_WORKFLOWS", "false")
    assert not hub.host.starts_checks


def test_error_other_than_a_missing_release_is_raised(hub: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a release could be made twice while GitHub is down."""
    monkeypatch.delenv("GH_TOKEN")
    with pytest.raises(PerenneError, match="GH_TOKEN"):
        hub.host.has_release("rain@v1.0.0")
