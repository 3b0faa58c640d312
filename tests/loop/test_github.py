"""What the loop says on GitHub: one pull request, one issue, and not a second one for saying it twice."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from perenne.loop import issue
from perenne.loop.retrain import RetrainOutcome
from tests.loop.conftest import LAW
from tests.loop.test_retrain import BRANCH, origin, retrained
from tests.project import ROOT, Project

MARK = "<!-- perenne loop retirement -->"


class Hub:
    """GitHub as `gh` tells of it, in files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str) -> list[dict[str, Any]]:
        """Return a list of its state."""
        file = self.folder / f"{name}.json"
        found: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() else []
        return found

    def write(self, name: str, value: list[Any]) -> None:
        """Have people change it."""
        (self.folder / f"{name}.json").write_text(json.dumps(value))

    def sent(self) -> list[str]:
        """Return what was changed, by method and place."""
        calls = [json.loads(line)["argv"] for line in (self.folder / "calls.jsonl").read_text().splitlines()]
        return [f"{argv[argv.index('--method') + 1]} {argv[-1]}" for argv in calls if "--method" in argv]


@pytest.fixture
def hub(stale: Project, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Return the GitHub that the stale company is on."""
    folder = stale.path.parent / "hub"
    commands = stale.path.parent / "commands"
    for path in (folder, commands):
        path.mkdir()
    # By this interpreter, whatever the machine calls python3.
    (commands / "gh").write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/tests/workflows/gh.py "$@"\n')
    (commands / "gh").chmod(0o755)
    monkeypatch.setenv("PATH", str(commands), prepend=":")
    for name, value in {"HUB": str(folder), "GITHUB_REPOSITORY": "ada/perenne", "GH_TOKEN": "token"}.items():
        monkeypatch.setenv(name, value)
    return Hub(folder)


@pytest.fixture
def offered(hub: Hub, lenient: Project) -> RetrainOutcome:  # noqa: ARG001 -- it is there
    """Return what comes of a retraining whose model people are to merge."""
    lenient.edit(r"on_eligible: \S+", "on_eligible: pull-request")
    lenient.commit("people merge")
    lenient.run("git push -q")
    return retrained()


def test_eligible_model_is_a_pull_request(offered: RetrainOutcome, hub: Hub, lenient: Project) -> None:
    """With the verdict and the reasons as its text; its checks are started by name."""
    assert offered.answer == "eligible"
    (pull,) = hub.read("pulls")
    assert (pull["head"]["ref"], pull["base"]["ref"]) == (BRANCH, "main")
    assert pull["title"] == f"Retrain retirement on what is known by {LAW}"
    for part in ("**retirement: eligible: all rules pass**", "too few: ", "| slice "):
        assert part in pull["body"]
    started = [(one["workflow"], one["ref"], one.get("inputs")) for one in hub.read("dispatches")]
    assert started == [("review.yml", BRANCH, {"base": "main"}), ("ci.yml", BRANCH, None)]
    assert f"refs/heads/{BRANCH}" in origin(lenient)
    assert "refs/tags/retirement@v1.0.1" not in origin(lenient), "nothing is released before it is merged"


def test_killed_after_each_step_there_is_one_pull_request(hub: Hub, lenient: Project, decision: Path) -> None:
    """Begun again after each, it ends with the branch, its data and one pull request that is checked."""
    lenient.edit(r"on_eligible: \S+", "on_eligible: pull-request")
    lenient.commit("people merge")
    lenient.run("git push -q")
    github = {"PATH": os.environ["PATH"], "HUB": str(hub.folder)}
    for last in ("branch", "data", "checks", "pull request"):
        done = lenient.run(f"python -m tests.loop.kill {decision} '{last}'", status=None, **github)
        assert done.returncode in (-9, 137), "it was not killed"
    assert retrained().lines[-1].endswith("it is open")
    assert len(hub.read("pulls")) == 1
    assert {one["workflow"] for one in hub.read("dispatches")} == {"review.yml", "ci.yml"}
    assert f"refs/heads/{BRANCH}" in origin(lenient)


def test_pull_request_is_opened_once(offered: RetrainOutcome, hub: Hub) -> None:
    """Neither while it is open nor after people have closed it; it is said where it is."""
    assert offered.answer == "eligible"
    assert retrained().lines[-1] == f"#7 is the pull request of {BRANCH}; it is open"
    hub.write("pulls", [one | {"state": "closed"} for one in hub.read("pulls")])
    assert retrained().lines[-1].endswith("it is closed")
    assert len(hub.read("pulls")) == 1


def test_earlier_pull_request_is_closed(hub: Hub, lenient: Project) -> None:
    """Of this model, of this repository, and earlier: it says which one takes its place. No other is."""

    def pull(number: int, ref: str, owner: str = "ada") -> dict[str, Any]:
        repo = {"full_name": f"{owner}/perenne", "owner": {"login": owner}}
        return {"number": number, "head": {"ref": ref, "repo": repo, "user": repo["owner"]}}

    earlier = "retrain/retirement-2021Q2"
    others = [
        pull(2, "retrain/pension-2021Q2"),
        pull(3, earlier, "eve"),
        pull(4, "retrain/retirement-2099Q1"),
    ]
    hub.write("pulls", [pull(1, earlier), *others])
    lenient.edit(r"on_eligible: \S+", "on_eligible: pull-request")
    lenient.commit("people merge")
    lenient.run("git push -q")
    assert retrained().lines[-1] == "#1 is closed: #11 takes its place"
    mine = 11
    assert {one["number"] for one in hub.read("pulls") if one.get("state", "open") == "open"} == {
        2,
        3,
        4,
        mine,
    }
    (said,) = hub.read("comments")
    assert (said["number"], said["body"].split()[0]) == (1, f"#{mine}")
    retrained()
    assert len(hub.read("comments")) == 1


def test_token_of_ones_own_starts_the_checks_itself(
    hub: Hub, lenient: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then nothing is started by name, or it would run twice."""
    lenient.edit(r"on_eligible: \S+", "on_eligible: pull-request")
    lenient.commit("people merge")
    monkeypatch.setenv("STARTS_WORKFLOWS", "true")
    assert retrained().answer == "eligible"
    assert (len(hub.read("pulls")), hub.read("dispatches")) == (1, [])


def test_one_issue_not_two(hub: Hub, stale: Project) -> None:
    """The second run finds it, and has nothing to change; a third brings it up to date."""
    assert retrained().lines[-1].startswith("#1 is opened: retirement: v1.0.0 is no longer right")
    (opened,) = hub.read("issues")
    assert opened["body"].startswith(f"{MARK}\n\nThe model in prod, `v1.0.0`, is marked `degraded`")
    assert retrained().lines[-1] == "#1 says so already"
    assert hub.read("issues") == [opened]
    assert [call for call in hub.sent() if "issues" in call] == ["POST repos/ada/perenne/issues"]
    hub.write("issues", [opened | {"body": f"{MARK}\n\nof last month"}])
    assert retrained().lines[-1] == "#1 is brought up to date"
    assert hub.read("issues") == [opened]
    assert "refs/tags/retirement#degraded#2" in origin(stale)


def test_strangers_mark_is_none(hub: Hub) -> None:
    """Anybody can write the mark into an issue of theirs: it stays theirs."""
    stranger = {"number": 1, "state": "open", "title": "mine", "body": f"{MARK}\n\nmine"}
    stranger |= {"user": {"login": "eve"}, "author_association": "NONE"}
    hub.write("issues", [stranger])
    assert retrained().lines[-1].startswith("#2 is opened")
    assert hub.read("issues")[0] == stranger


def test_issue_is_closed_when_another_version_is_in_prod(hub: Hub, stale: Project) -> None:
    """It stays open while the version in prod is degraded, and says by what it was closed."""
    retrained()
    assert issue.settle("retirement") == ()
    stale.edit(r"max_iter: .*", "max_iter: 60")
    stale.repro()
    stale.commit("an experiment that was worth it")
    stale.run("perenne gate --push && perenne release --push")
    assert issue.settle("retirement") == ("#1 is closed: retirement@v1.1.0 is in prod",)
    assert issue.settle("retirement") == ()
    assert [one["state"] for one in hub.read("issues")] == ["closed"]
    (comment,) = hub.read("comments")
    assert comment["body"] == "retirement@v1.1.0 is in prod now."
