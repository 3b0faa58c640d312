"""What a job is told, what it tells, and what it may."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest

from perenne.common import git
from perenne.common.errors import PerenneError
from perenne.forge import runner as ours
from tests.forge.running import Runner


def test_rights_are_variables_that_go_again(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert runner.said("output") == "changed=true\n"
    with pytest.raises(PerenneError, match="is more than a line"):
        ours.output("changed", "true\nstale=true")


def test_variable_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody but a workflow has a use for these commands."""
    monkeypatch.delenv("GITHUB_EVENT_PATH", raising=False)
    with pytest.raises(PerenneError, match="GITHUB_EVENT_PATH: not set"):
        ours.event()
