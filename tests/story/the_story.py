"""The whole of it, told once, by the real thing: Git, DVC, the workflows by act, the service over a socket.

A company delivers a file a quarter. A year passes, then a law comes, and later a system fails.
`make story` runs it: a quarter of an hour, and not part of `make test`. The workflow `story.yml` does so each
night.
"""

from __future__ import annotations

import json
import re
import shutil
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.project import Project, clone
from tests.serving.running import PATIENCE, Running, example, serving
from tests.serving.test_follow import Load
from tests.story import world
from tests.workflows.hub import Hub, Run

BEGAN = time.monotonic()


def tell(text: str) -> None:
    """Print a step of the story, and when it was."""
    print(f"[{time.monotonic() - BEGAN:4.0f} s] {text}", flush=True)


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    """Return a company with a bare origin and nothing in production yet."""
    ada = clone(tmp_path / "company" / "ada")
    ada.run("git init -q --bare -b main ../origin.git && git remote add origin ../origin.git")
    ada.run("git push -q -u origin main")
    return Hub(ada)


def monitored(hub: Hub) -> tuple[Run, dict[str, Any]]:
    """Let GitHub monitor, as it does each day; return the run and the decision."""
    run = hub.act("monitor", "schedule", {"schedule": "17 5 * * *"}, at="main")
    assert run.passed, run.log
    newest = max((hub.state / "artifacts").rglob("decision.zip"), key=lambda kept: kept.stat().st_mtime)
    with zipfile.ZipFile(newest) as kept:
        found: dict[str, Any] = json.loads(kept.read("decision.json"))
    for line in said(run.log):
        tell(f"  monitor.yml: {line}")
    return run, found


def said(log: str) -> list[str]:
    """Return what the loop said in a run, as act shows it."""
    lines = dict.fromkeys(line.partition(" | ")[2][:200] for line in log.splitlines())
    told = re.compile(r"(monitor|gate|branch|pull request|issue|degraded): |  [\w ]+: ")
    return [line for line in lines if told.match(line)]


def agreement(found: dict[str, Any]) -> list[float]:
    """Return observed by expected, for every quarter whose labels have come."""
    told = [window["predictions"] for window in found["windows"] if window["matured"]]
    return [one["observed"] / one["expected"] for one in told]


def release(hub: Hub, before: str) -> None:
    """Let GitHub release what was merged."""
    hub.work.run("git push -q origin main")
    run = hub.release(before, hub.work.out("git rev-parse main").strip())
    assert run.passed, run.log
    hub.work.run("git fetch -q --tags origin")


def until(running: Running, key: str, value: Any) -> None:
    """Wait until the service says so of itself: it asks for the tags each second."""
    end = time.monotonic() + PATIENCE
    while running.get("/v1/model")[key] != value:
        assert time.monotonic() < end, running.get("/v1/model")
        time.sleep(0.2)


@pytest.fixture
def service(hub: Hub) -> Iterator[Running]:
    """Return the service, in a clone of its own, after the first release."""
    first_release(hub)
    hub.work.run("git clone -q ../origin.git ../service")
    beside = Project(hub.work.path.parent / "service")
    beside.edit("poll_seconds: .*", "poll_seconds: 1")
    with serving(beside) as running:
        tell(f"the service is up, with {running.get('/v1/model')['version']}")
        yield running


def first_release(hub: Hub) -> None:
    """From an empty folder to a model in production."""
    ada = hub.work
    world.move_in(ada)
    world.deliver(ada, "2013Q1", "2019Q4")
    tell("an empty folder, a bare origin, 28 files: dvc repro")
    ada.repro()
    ada.commit("the first model")
    ada.run("git push -q origin main && perenne gate --push && perenne release --push")
    shutil.copytree(ada.path / ".dvc" / "cache", ada.path.parent / "caches" / "dvc-")
    tell("the first release: " + ada.out("perenne models").splitlines()[1])


def test_the_story(hub: Hub, service: Running) -> None:
    """Both endings: a change that retraining follows, and one that it cannot."""
    ada = hub.work
    world.deliver(ada, "2020Q1", "2020Q4")
    tell("a year without change")
    _, found = monitored(hub)
    assert found["answer"] == "nothing"
    assert len(found["windows"]) == 5

    world.deliver(ada, "2021Q1", "2021Q1")
    tell("a law changes who retires; the labels of a quarter under it have come")
    _, found = monitored(hub)
    assert (found["answer"], found["since"]) == ("retrain", "2020Q4")
    assert found["wait_for"] == "2021Q3"
    assert hub.read("pulls") == []
    world.deliver(ada, "2021Q2", "2021Q3")
    _, found = monitored(hub)
    tell(f"observed by expected is {agreement(found)[-1]:.2f}")
    (pull,) = hub.read("pulls")
    branch = pull["head"]["ref"]
    tell(f"the pull request #{pull['number']}: {pull['title']}")

    reviewed = hub.act("review", "workflow_dispatch", {"inputs": {"base": "main"}}, at=f"refs/heads/{branch}")
    assert reviewed.passed, reviewed.log
    assert "can be merged" in reviewed.log, reviewed.log
    tell("review.yml: " + re.findall(r"retirement: can be merged.*", reviewed.log)[0])
    before = ada.out("git rev-parse main").strip()
    ada.run(f"git fetch -q && git merge -q --ff-only origin/{branch}")
    with Load(service, [example(service)]) as asked:
        release(hub, before)
        tell("merged; release.yml: " + ada.out("perenne models").splitlines()[1])
        until(service, "version", "v1.0.1")
    assert not asked.failed
    versions = [answer["model_version"] for answer in asked.answers]
    assert versions == sorted(versions)
    assert set(versions) == {"v1.0.0", "v1.0.1"}
    tell(f"the service has swapped: {len(versions):,} requests meanwhile, none lost")

    world.deliver(ada, "2021Q4", "2022Q1")
    _, found = monitored(hub)
    assert found["answer"] in ("nothing", "look"), "columns move: who would have left is there"
    told = ", ".join(f"{ratio:.2f}" for ratio in agreement(found))
    assert all(0.9 < ratio < 1.1 for ratio in agreement(found)), told
    tell(f"expected and observed departures agree again: {told}")

    world.deliver(ada, "2022Q2", "2023Q1")
    tell(f"from {world.FAILURE} on a system writes the same age for everyone")
    _, found = monitored(hub)
    assert found["answer"] == "retrain"
    (opened,) = hub.read("issues")
    tell(f"the issue #{opened['number']}: {opened['title']}")
    run, _ = monitored(hub)
    assert hub.read("issues") == [opened]
    assert "is up to date already" in run.log
    ada.run("git fetch -q --tags origin")
    assert ada.out("git tag -l 'retirement#degraded#*'").count("\n") == 1
    assert len(hub.read("pulls")) == 1
    until(service, "degraded", value=True)
    tell("one issue, not two; the service says that its model is degraded, and goes on")
    assert service.predict(example(service))["model_version"] == "v1.0.1"
