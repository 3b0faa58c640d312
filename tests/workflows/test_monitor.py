"""What the loop does on GitHub: the real monitor.yml, run by act."""

from __future__ import annotations

import pytest

from tests.loop.conftest import LAW, demanding
from tests.workflows.hub import TOKEN, Hub, Run
from tests.workflows.scenes import SEEN, spied

BRANCH = f"retrain/retirement-{LAW}"


def expect(run: Run) -> None:
    """Fail with all that act has printed, unless a run has passed; no token may be in it."""
    assert run.passed, run.log
    assert TOKEN not in run.log


def test_quiet_day(hub: Hub) -> None:
    """(schedule) Nothing has come: nothing is done, and the run says so."""
    run = hub.act("monitor", "schedule", {"schedule": "17 5 * * *"}, at="main")
    expect(run)
    assert "nothing: no drift detected through 2020Q4" in run.log
    assert hub.read("pulls") == hub.read("issues") == []


def test_new_data_call_for_a_retraining(hub: Hub) -> None:
    """(new-data) An eligible model is a pull request, whose checks are started by name."""
    hub.work.edit(r"    floor: .*\n", "")
    hub.work.edit(r"^  loss: .*", "  loss: 0.99 # whatever has come is no worse")
    hub.work.commit("a lenient policy")
    hub.work.run("git push -q origin main")
    event = {"action": "new-data", "client_payload": {"through": LAW}}
    run = hub.act("monitor", "repository_dispatch", event, at="main")
    expect(run)
    (pull,) = hub.read("pulls")
    assert (pull["head"]["ref"], pull["base"]["ref"]) == (BRANCH, "main")
    assert {one["workflow"] for one in hub.read("dispatches")} == {"review.yml", "ci.yml"}
    author = hub.work.out(f"git fetch -q && git show -s --format=%an origin/{BRANCH}").strip()
    assert author == "github-actions[bot]"
    assert hub.work.out("git ls-remote --tags origin").count("retirement@v") == 2  # v1.0.0 and its ^{}

    reviewed = hub.act("review", "workflow_dispatch", {"inputs": {"base": "main"}}, at=f"refs/heads/{BRANCH}")
    expect(reviewed)
    assert "can be merged" in reviewed.log


@pytest.mark.usefixtures("cold")
def test_stages_of_a_retraining_see_no_secret(hub: Hub) -> None:
    """They run in a job of their own; what they made is offered, or not, by another one."""
    spied(hub.work)
    demanding(hub.work)
    hub.work.run("git push -q origin main")
    run = hub.act(
        "monitor", "workflow_dispatch", {"inputs": {"through": LAW}, "ref": "refs/heads/main"}, at="main"
    )
    expect(run)
    assert "Running stage 'train'" in run.log
    assert SEEN not in run.log
    (issue,) = hub.read("issues")
    assert "retraining is not enough" in issue["title"]


def test_rejected_model_is_an_issue(hub: Hub) -> None:
    """(by hand) Experiments are needed: no failure of the run, and a second one tells nobody again."""
    demanding(hub.work)
    hub.work.run("git push -q origin main")
    event = {"inputs": {"through": LAW}}
    expect(hub.act("monitor", "workflow_dispatch", event, at="main"))
    (opened,) = hub.read("issues")
    assert "retraining is not enough" in opened["title"]
    again = hub.act("monitor", "workflow_dispatch", event, at="main")
    expect(again)
    assert hub.read("issues") == [opened]
    assert "is up to date already" in again.log
    assert "retirement#degraded#2" in hub.work.out("git ls-remote --tags origin")
