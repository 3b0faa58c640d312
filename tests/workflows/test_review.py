"""What a pull request sees: the real review.yml and comment.yml, run by act."""

from __future__ import annotations

import re

from perenne.common.notes import REF
from tests.workflows.hub import Hub
from tests.workflows.scenes import GOOD, WORSE, comment, notes, reviewed, rounds

METRICS = "data/reports/metrics.json"


def test_1_better_model(hub: Hub) -> None:
    """It is reproduced, judged and told in one comment, in numbers; the check passes."""
    rounds(hub.work, GOOD)
    pull = hub.open("better")
    looks = hub.work.out(f"git ls-remote origin {REF}")
    review = reviewed(hub, pull)
    assert "can be merged: it is better than v1.0.0 in prod" in review.log
    assert comment(hub, pull).startswith("<!-- perenne review -->\n\n✅ The review has passed")
    assert re.search(r"\*\*log\\_loss\*\*.*\|.*▲", comment(hub, pull))
    assert not (hub.state / "artifacts" / "results.zip").exists(), "the lock was as committed"
    assert hub.read("statuses") == []
    assert hub.work.out(f"git ls-remote origin {REF}") != looks, "people have seen it: it is a look"
    assert "look 2 at this holdout" in hub.work.out("perenne gate"), "who looks here sees nothing new"


def test_2_worse_model(hub: Hub) -> None:
    """The check fails; when the change is taken back, the same comment says so: it is edited in its place."""
    rounds(hub.work, WORSE)
    pull = hub.open("worse")
    review = reviewed(hub, pull, passed=False)
    assert "should not be merged" in review.log
    assert comment(hub, pull).startswith("<!-- perenne review -->\n\n❌ The review has failed")
    assert "should not be merged" in comment(hub, pull)
    hub.work.run("git revert --no-edit HEAD && dvc checkout -q")
    pull = hub.push(pull)
    reviewed(hub, pull)
    assert comment(hub, pull).startswith("<!-- perenne review -->\n\n✅ The review has passed")
    assert "the model is unchanged" in comment(hub, pull)


def test_3_forged_metrics(hub: Hub) -> None:
    """Metrics that the commit does not make are found by making them; nothing is judged."""
    hub.work.run("git checkout -q $(git log -1 --format=%H --grep='^small$') -- dvc.yaml")  # still measured
    hub.work.edit(r"(?s)^  drift:\n.*?(?=^(  )?\S|\Z)", "", "dvc.yaml")
    rounds(hub.work, WORSE)
    hub.work.edit(r'"log_loss": [\d.]+', '"log_loss": 0.01', METRICS)
    hub.work.run("dvc commit -q -f")
    hub.work.commit("look how good")
    pull = hub.open("forged")
    review = reviewed(hub, pull, passed=False)
    assert "does not reproduce the results that it claims" in review.log
    assert f"evaluate: {METRICS} is not what the commit reproduces" in comment(hub, pull)


def test_4_loosened_policy(hub: Hub) -> None:
    """A change is judged by the policy of its base, not by the one that it brings along."""
    hub.work.edit(r"^    improvement: .*\n", "")
    rounds(hub.work, WORSE)
    pull = hub.open("loosened")
    review = reviewed(hub, pull, passed=False)
    assert "should not be merged" in review.log
    assert re.search(r"gate\.rules\.improvement\S* *\|.*\| *none", comment(hub, pull))


def test_6_documentation_only(hub: Hub) -> None:
    """The model is unchanged: said in seconds, and nothing is run again."""
    notes(hub.work)
    pull = hub.open("notes")
    review = reviewed(hub, pull)
    assert "the model is unchanged" in review.log
    assert "Running stage" not in review.log
    assert "the model is unchanged" in comment(hub, pull)
