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
from tests.actions.test_comment import ended
from tests.project import Project


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


def test_deploy_key_pushes_and_the_token_reads(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules for tags can name deploy keys; Git hands over its key, and asks for GitHub's host key."""
    project = Project(tmp_path / "project")
    project.write("a file", "")
    project.run("git init -q -b main && git init -q --bare ../ada/perenne.git")
    project.run("git remote add origin https://github.com/ada/perenne.git")
    project.commit("first")
    # In place of the network: what ssh is called with, and what the server would run.
    project.write("../bin/ssh", SSH)
    (tmp_path / "bin" / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setenv("TOP", str(tmp_path))
    monkeypatch.setenv("PUSH_KEY", "a key\n")
    monkeypatch.chdir(project.path)
    before = dict(os.environ)
    with ours.rights():
        git.git("push", "--quiet", "origin", "main:refs/tags/rain@v1.0.0")
        assert git.git("remote", "get-url", "origin") == "https://github.com/ada/perenne.git"
    assert project.out("git -C ../ada/perenne.git tag") == "rain@v1.0.0\n"
    called = (tmp_path / "called").read_text()
    assert "a key" in called
    assert f"github.com {ours.HOST_KEY}" in called
    assert "StrictHostKeyChecking=yes" in called
    assert (dict(os.environ), runner.folder.exists()) == (before, True)


SSH = """\
#!/bin/bash
while [ "${1#-}" != "$1" ]; do
    [ "$1" = -i ] && cat "$2" >> "$TOP/called"
    [[ $2 = UserKnownHostsFile=* ]] && cat "${2#*=}" >> "$TOP/called"
    echo "$1 $2" >> "$TOP/called"
    shift 2
done
cd "$TOP"
[ "$1" = git@github.com ] && eval "${2//\\'\\//\\'}"
"""


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


@pytest.mark.parametrize(
    "end", ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
)
def test_output_ends_its_line_for_no_reader(runner: Runner, end: str) -> None:
    """GitHub's runner splits where .NET does, others elsewhere; NUL ends a text in C."""
    for value in (f"true{end}stale=true", f"true{end}", end, "true\0"):
        with pytest.raises(PerenneError, match=r"^changed: '.*' has more than one line$"):
            ours.output("changed", value)
    assert not (runner.folder / "output").exists()


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
    here = {"full_name": "ada/perenne"}
    head = {"repo": here, "sha": "a" * 40}
    runner.happens(
        pull_request={"base": {"ref": "main", "sha": "b" * 40}, "head": head, "title": "$(x)"},
        repository=here,
    )
    assert ours.event(ReviewRequested).base == "main"
    runner.happens(inputs={"base": "next"}, repository=here)
    assert ours.event(ReviewRequested).base == "next"
    runner.happens(inputs=None, repository=here)
    with pytest.raises(PerenneError, match="neither inputs nor a pull_request"):
        _ = ours.event(ReviewRequested).base


@pytest.mark.parametrize(
    ("head", "asker"),
    [({"full_name": "ada/perenne"}, "own"), ({"full_name": "eve/perenne"}, "fork"), (None, "fork")],
)
def test_code_of_a_review_is_the_repositorys_or_a_forks(
    runner: Runner, head: dict[str, str] | None, asker: str
) -> None:
    """GitHub says which, before and after; a fork that was deleted is one."""
    here = {"full_name": "ada/perenne", "default_branch": "main"}
    runner.happens(pull_request={"base": {"ref": "main"}, "head": {"repo": head}}, repository=here)
    assert ours.event(ReviewRequested).asker == asker
    runner.happens(workflow_run=ended(head_repository=head), repository=here)
    assert ours.event(RunEnded).asker == asker


def test_git_writes_as_the_bot(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner has no user of its own."""
    for name in ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL"):
        monkeypatch.setenv(f"GIT_{name}", "somebody")
    ours.identify()
    for who in ("AUTHOR", "COMMITTER"):
        assert git.git("var", f"GIT_{who}_IDENT").startswith(f"{GitHub.bot.name} <{GitHub.bot.email}> ")
