"""What a merge does: the real release.yml, run by act."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.project import Project
from tests.workflows.hub import Hub
from tests.workflows.scenes import GOOD, SEEN, WORSE, ended, notes, rounds, spied


def tags(hub: Hub) -> list[str]:
    """Return the tags of the origin."""
    listed = hub.work.out("git ls-remote --refs origin 'refs/tags/*'").splitlines()
    return [line.partition("refs/tags/")[2] for line in listed]


def test_8_merge_is_released(hub: Hub) -> None:
    """A better model gets its version: tags that gto reads, its data, a GitHub release, and provenance."""
    rounds(hub.work, GOOD)
    run = ended(hub.release(*hub.merge()))
    assert re.search(r"retirement@v1\.1\.0: 36 golden rows as released, p99 \d", run.log)
    assert {"retirement@v1.1.0", "retirement#prod#2"} < set(tags(hub))
    clone = Project(hub.work.path.parent / "clone")
    hub.work.run(f"git clone -q ../origin.git {clone.path}")
    assert "v1.1.0" in clone.out("gto show")
    clone.run("perenne fetch prod --out fetched")
    (release,) = hub.read("releases")
    assert release["tag"] == "retirement@v1.1.0"
    assert {"model.json", "released.json"} <= set(release["assets"])
    assert "better than v1.0.0" in release["notes"]
    attested = (hub.state / "attested").read_text()
    assert attested.split()[0] == clone.out("sha256sum fetched/model.skops").split()[0]


@pytest.mark.usefixtures("cold")
def test_stages_of_a_merge_see_no_secret(hub: Hub) -> None:
    """Neither in their own variables nor in those of a process above them; it is released all the same."""
    spied(hub.work)
    rounds(hub.work, GOOD)
    run = ended(hub.release(*hub.merge()))
    assert "Running stage 'train'" in run.log
    assert SEEN not in run.log
    assert "retirement@v1.1.0" in tags(hub)


def test_9_merge_that_leaves_the_model_alone(hub: Hub) -> None:
    """Nothing is run again and nothing released: it says which version the model is."""
    notes(hub.work)
    before = tags(hub)
    run = ended(hub.release(*hub.merge()))
    assert "the model is unchanged: it is retirement@v1.0.0; nothing to release" in run.log
    assert "Running stage" not in run.log
    assert (tags(hub), hub.read("releases"), hub.calls()) == (before, [], [])


def test_merge_of_a_worse_model_is_not_released(hub: Hub) -> None:
    """Also where the same push has loosened the policy: that counts from the next one on."""
    hub.work.edit(r"^    improvement: .*\n", "")
    rounds(hub.work, WORSE)
    before = tags(hub)
    run = ended(hub.release(*hub.merge()), passed=False)
    assert "not released: retirement: rejected" in run.log
    assert (tags(hub), hub.read("releases")) == (before, [])


def test_merge_of_a_model_that_is_too_slow_is_not_released(hub: Hub) -> None:
    """It is better, and does not do in the real server what it must: nobody ever sees a tag of it."""
    hub.work.edit(r"budget_ms: \d+", "budget_ms: 0.001")
    rounds(hub.work, GOOD)
    before = tags(hub)
    run = ended(hub.release(*hub.merge()), passed=False)
    assert re.search(r"v1\.1\.0: a row takes .* allows 0\.001", run.log)
    assert (tags(hub), hub.read("releases")) == (before, [])


def test_two_merges_at_once_are_two_versions_in_order_or_one(hub: Hub) -> None:
    """Whichever run is quicker: a later version is that of a later commit, and every tag has its proof."""
    rounds(hub.work, 30)
    first = hub.merge()
    rounds(hub.work, 90)
    second = hub.merge()
    with ThreadPoolExecutor() as both:
        runs = list(both.map(lambda push: hub.release(*push), [first, second]))
    assert any(run.passed for run in runs), "\n".join(run.log for run in runs)
    clone = Project(hub.work.path.parent / "clone")
    hub.work.run(f"git clone -q ../origin.git {clone.path}")
    commits = [clone.out(f"git rev-parse '{tag}^{{}}'").strip() for tag in tags(hub) if "@" in tag]
    assert len(commits) == len(set(commits))
    assert commits[1:] in ([first[1], second[1]], [second[1]], [first[1]])
    models = json.loads(clone.out("perenne models --json"))
    assert len(models) == len(commits)
