"""A job's input, its output and its rights."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest

from perenne.actions import runner as ours
from perenne.actions.events import Pushed, ReviewRequested, RunEnded
from perenne.common import git
from perenne.common.errors import PerenneError
from perenne.forge.github import GitHub
from tests.actions.running import Runner


def test_rights_are_variables_that_are_removed_again(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git reaches the origin with the token and signs with the key, and afterwards neither is anywhere."""
    monkeypatch.setenv("SIGNING_KEY", "a key\n")
    before = dict(os.environ)
    with ours.rights():
        basic = base64.b64encode(b"x-access-token:secret-token").decode()
        header = git.git("config", "--get", "http.https://github.com/.extraheader")
        assert header == f"AUTHORIZATION: basic {basic}"
        key = Path(git.git("config", "--get", "user.signingkey"))
        assert key.read_text() == "a key\n"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert (dict(os.environ), key.exists()) == (before, False)
    assert runner.folder.exists()


def test_settings_of_the_remote_are_for_this_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They go where DVC looks and Git does not."""
    monkeypatch.chdir(tmp_path)
    Path(".dvc").mkdir()
    ours.configure_dvc()
    assert not ours.LOCAL.exists()
    monkeypatch.setenv("DVC_CONFIG", "['remote \"storage\"']\n")
    ours.configure_dvc()
    assert (ours.LOCAL.read_text(), stat.S_IMODE(ours.LOCAL.stat().st_mode)) == (
        "['remote \"storage\"']\n",
        0o600,
    )


def test_output_is_one_line(runner: Runner) -> None:
    """A value of two lines could set another output."""
    ours.output("changed", "true")
    ours.flag("stale", value=False)
    assert runner.written("output") == "changed=true\nstale=false\n"
    with pytest.raises(PerenneError, match="has more than one line"):
        ours.output("changed", "true\nstale=true")


def test_variable_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a workflow has a use for these commands."""
    monkeypatch.delenv("GITHUB_EVENT_PATH", raising=False)
    with pytest.raises(PerenneError, match="GITHUB_EVENT_PATH: not set"):
        ours.event(Pushed)


def test_event_without_a_key_names_it(runner: Runner) -> None:
    """And the file; keys that nobody reads are ignored."""
    runner.happens(workflow_run={"id": 7}, more={})
    with pytest.raises(PerenneError, match=r"event\.json: workflow_run\.head_sha: missing"):
        ours.event(RunEnded)


def test_base_of_a_review_is_that_of_the_pull_request_or_given_by_name(runner: Runner) -> None:
    """An event that has neither is an error."""
    runner.happens(pull_request={"base": {"ref": "main", "sha": "b" * 40}, "title": "$(x)"})
    assert ours.event(ReviewRequested).base == "main"
    runner.happens(inputs={"base": "next"})
    assert ours.event(ReviewRequested).base == "next"
    runner.happens(inputs=None)
    with pytest.raises(PerenneError, match="neither inputs nor a pull_request"):
        _ = ours.event(ReviewRequested).base


def test_git_writes_as_the_bot(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner has no user of its own."""
    for name in ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL"):
        monkeypatch.setenv(f"GIT_{name}", "somebody")
    ours.identify()
    for who in ("AUTHOR", "COMMITTER"):
        assert git.git("var", f"GIT_{who}_IDENT").startswith(f"{GitHub.bot.name} <{GitHub.bot.email}> ")
