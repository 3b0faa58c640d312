"""What the loop writes on the Git host: one pull request and one issue, however often it runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from perenne import forge
from perenne.forge.port import Issue
from perenne.loop import issue
from perenne.loop.retrain import RetrainOutcome
from tests.forge.double import Double, Started
from tests.forge.standin import stand_in
from tests.loop.conftest import LAW
from tests.loop.test_retrain import BRANCH, origin, retrained
from tests.project import Project

MARK = "<!-- perenne loop retirement -->"
CHECKS = [Started("review", BRANCH, "main"), Started("tests", BRANCH, "main")]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Double:
    """Return the Git host that the loop runs on."""
    double = Double()
    monkeypatch.setattr(forge, "current", lambda: double)
    return double


@pytest.fixture
def merging(lenient: Project) -> Project:
    """Return the company whose eligible models people merge."""
    lenient.edit(r"on_eligible: \S+", "on_eligible: pull-request")
    lenient.commit("people merge")
    lenient.run("git push -q")
    return lenient


@pytest.fixture
def offered(host: Double, merging: Project) -> RetrainOutcome:  # noqa: ARG001 -- both are there
    """Return the outcome of a retraining whose model people are to merge."""
    return retrained()


def test_eligible_model_is_a_pull_request(offered: RetrainOutcome, host: Double, merging: Project) -> None:
    """With the verdict and the reasons as its text; its checks are started by name."""
    assert offered.answer == "eligible"
    (pull,) = host.open_pull_requests()
    assert (pull.branch, pull.base) == (BRANCH, "main")
    text = host.texts[pull.number]
    assert text.title == f"Retrain retirement on the data through {LAW}"
    for part in ("**retirement: eligible: all rules pass**", "fewer events than predicted: ", "| slice "):
        assert part in text.body
    assert host.started == CHECKS
    assert f"refs/heads/{BRANCH}" in origin(merging)
    assert "refs/tags/retirement@v1.0.1" not in origin(merging), "nothing is released before it is merged"


@pytest.mark.minutes
def test_killed_after_each_step_there_is_one_pull_request(
    tmp_path: Path, merging: Project, decision: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started again after each, it ends with the branch, its data and one pull request that is checked."""
    github = stand_in(tmp_path, monkeypatch)  # it outlives a process
    variables = {name: os.environ[name] for name in ("PATH", "HUB", "GITHUB_REPOSITORY", "GH_TOKEN")}
    for last in ("branch", "data", "checks", "pull request"):
        done = merging.run(f"python -m tests.loop.kill {decision} '{last}'", status=None, **variables)
        assert done.returncode in (-9, 137), "it was not killed"
    assert retrained().lines[-1].endswith("it is open")
    assert len(github.read("pulls")) == 1
    assert set(github.started) == set(CHECKS)
    assert f"refs/heads/{BRANCH}" in origin(merging)


def test_pull_request_is_opened_once(offered: RetrainOutcome, host: Double) -> None:
    """Neither while it is open nor after people have closed it is there a second one; a message names it."""
    assert offered.answer == "eligible"
    (pull,) = host.open_pull_requests()
    assert retrained().lines[-1] == f"#{pull.number} is the pull request of {BRANCH}; it is open"
    host.close_pull_request(pull.number)
    assert retrained().lines[-1].endswith("it is closed")
    assert len(host.pulls) == 1


@pytest.mark.usefixtures("merging")
def test_earlier_pull_request_is_closed(host: Double) -> None:
    """If it is of this model, in this repository and earlier; a comment names the one that replaces it."""
    earlier = "retrain/retirement-2021Q2"
    replaced = host.requested(earlier)
    others = {
        host.requested("retrain/pension-2021Q2"),
        host.requested(earlier, repository="eve/perenne"),
        host.requested(earlier, repository=None),
        host.requested("retrain/retirement-2099Q1"),
    }
    message = retrained().lines[-1]
    (pull,) = host.pull_requests(host.repository, BRANCH)
    assert message == f"#{replaced} is closed: #{pull.number} replaces it"
    assert {each.number for each in host.open_pull_requests()} == {*others, pull.number}
    ((on, comment),) = host.said.values()
    assert on == replaced
    assert comment.body.startswith(f"#{pull.number} replaces this one")
    retrained()
    assert len(host.said) == 1


@pytest.mark.usefixtures("merging")
def test_token_that_starts_the_checks(host: Double) -> None:
    """Then none is started by name, or it would run twice."""
    host.own_token = True
    assert retrained().answer == "eligible"
    assert (len(host.pulls), host.started) == (1, [])


def test_one_issue_not_two(host: Double, stale: Project) -> None:
    """A second run finds it and has nothing to change; a third one updates it."""
    assert retrained().lines[-1].startswith("#1 is opened: retirement: v1.0.0 is no longer right")
    (opened,) = host.open_issues()
    assert opened.body.startswith(f"{MARK}\n\nThe model in prod, `v1.0.0`, is marked `degraded`")
    assert retrained().lines[-1] == "#1 is up to date already"
    assert host.open_issues() == [opened]
    assert host.writes == 1
    host.issues[1] = opened._replace(body=f"{MARK}\n\nof last month")
    assert retrained().lines[-1] == "#1 is updated"
    assert host.open_issues() == [opened]
    assert "refs/tags/retirement#degraded#2" in origin(stale)


@pytest.mark.usefixtures("stale")
def test_issue_of_a_stranger_is_left_alone(host: Double) -> None:
    """Anybody can write the mark into an issue of their own."""
    number = host.reported("mine", f"{MARK}\n\nmine", trusted=False)
    assert retrained().lines[-1].startswith("#2 is opened")
    assert host.issues[number] == Issue(number, "mine", f"{MARK}\n\nmine", trusted=False)


def test_issue_is_closed_when_another_version_is_in_prod(host: Double, stale: Project) -> None:
    """It stays open while the version in prod is degraded; a comment names the version that closed it."""
    retrained()
    assert issue.settle("retirement") == ()
    stale.edit(r"floor: {min_gain: 0.9}", "floor: {min_gain: 0}")
    stale.edit(r"max_iter: .*", "max_iter: 60")
    stale.repro()
    stale.commit("an experiment that was worth it")
    stale.run("perenne gate --push && perenne release --push")
    assert issue.settle("retirement") == ("#1 is closed: retirement@v1.1.0 is in prod",)
    assert issue.settle("retirement") == ()
    assert host.open_issues() == []
    ((_, comment),) = host.said.values()
    assert comment.body == "retirement@v1.1.0 is in prod now."
