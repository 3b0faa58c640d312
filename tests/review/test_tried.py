"""How many settings were tried, by what commits say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from perenne.review.tried import tried


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty repository."""
    monkeypatch.chdir(tmp_path)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "ada@example.org")
    subprocess.run(["git", "init", "-q", "-b", "main"], check=True)
    commit("begin\n\nTuned-Trials: 1000")


def commit(message: str) -> None:
    """Commit nothing but a message."""
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", message], check=True)


def test_searches_of_a_change_add_up() -> None:
    """Those of the commits that the base lacks, and no others; none is 0."""
    assert tried("HEAD", "HEAD") == 0
    commit("Tune: a\n\nTuned-Trials: 50\nTuned-Search: x")
    commit("by hand")
    commit("Tune: b\n\nTuned-Trials: 12")
    assert tried("HEAD~3", "HEAD") == 62
    assert tried("HEAD~1", "HEAD") == 12


@pytest.mark.parametrize("value", ["many", "-5", "1e9", "9" * 12, "٣", ""])
def test_trailer_that_is_no_count_counts_nothing(value: str) -> None:
    """Anybody may write a message; a review must not fail on it."""
    commit(f"Tune: a\n\nTuned-Trials: {value}\nTuned-Trials: 3")
    assert tried("HEAD~1", "HEAD") == 3
