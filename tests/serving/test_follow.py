"""Following a stage: what is good takes over between two requests, what is not is refused and told."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perenne.common import git
from perenne.common.errors import PerenneError
from perenne.registry import golden, tags
from perenne.registry.rollback import rollback
from perenne.serving.bring import bring
from perenne.serving.served import load
from tests.conftest import Enter
from tests.project import Project
from tests.serving.running import PATIENCE, Running, example, serving
from tests.serving.versions import NAME, assign, register, sha256

CONTRACT = "data/cases/retirement/contract.yaml"


@pytest.fixture(scope="module")
def running(founded: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return the company, served; v1.1.0, a model of 60 rounds, is registered and in no stage."""
    to = tmp_path_factory.mktemp("followed") / "company"
    shutil.copytree(founded.path.parent, to, symlinks=True)
    project = Project(to / "ada")
    project.edit("poll_seconds: .*", "poll_seconds: 1000")
    project.edit(r"max_iter: \d+", "max_iter: 60")
    project.repro()
    project.commit("60 rounds")
    project.run("dvc push -q")
    with serving(project) as started:
        yield started


@pytest.fixture
def here(running: Running, enter: Enter) -> Running:
    """Return the service with v1.0.0 in prod and no other stage taken, its project as the current folder."""
    enter(running.project)
    registry = tags.read(NAME)
    if "v1.1.0" not in registry.registered:
        register("v1.1.0", {"model": {"sha256": sha256()}, "golden": golden.record(NAME)})
    if registry.find("prod").version != "v1.0.0":
        rollback(NAME, to="v1.0.0", reason="for the next test", push=False)
    for stage in ("degraded", "shadow"):
        if registry.in_stage(stage):
            assign("v9.9.9", stage)
    running.project.run("git checkout -q main")
    running.reload()
    return running


def refusal(running: Running) -> str:
    """Let it ask the registry; return why it refuses, as every place says, while the old one goes on."""
    answer = running.reload()
    assert answer.status_code == 409, answer.text
    why: str = answer.json()["detail"]
    assert running.get("/readyz") == {"ready": True, "version": "v1.0.0", "refused": why, "log": "commit"}
    assert running.get("/v1/model")["refused"] == why
    told = [line for line in running.client.get("/metrics").text.splitlines() if "perenne_refused{" in line]
    assert json.dumps(why)[1:-1] in told[0]
    assert running.predict(example(running))["model_version"] == "v1.0.0"
    return why


class Load(threading.Thread):
    """Asks without a pause until told to stop, and keeps what was answered."""

    def __init__(self, running: Running, rows: list[dict[str, Any]]) -> None:
        super().__init__()
        self.running, self.rows = running, rows
        self.answers: list[dict[str, Any]] = []
        self.failed: list[str] = []
        self.enough = threading.Event()

    def run(self) -> None:
        """Ask."""
        while not self.enough.is_set():
            answer = self.running.client.post("/v1/predict", json={"rows": self.rows})
            if answer.status_code == 200:
                self.answers.append(answer.json())
            else:
                self.failed.append(answer.text)

    def __enter__(self) -> Load:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.enough.set()
        self.join()


def test_swap_and_rollback_under_load(here: Running) -> None:
    """No request fails, each answer's version made its scores, and rollback is the same road."""
    row = example(here)
    rows = [row | {"age": age} for age in (60.5, 62.25, 64.0, 66.5)]
    scores = {}
    with Load(here, rows) as asked:
        for version in ("v1.1.0", "v1.0.0", "v1.1.0"):
            if version == "v1.0.0":
                rollback(NAME, to=None, reason="to see how", push=False)
            else:
                assign(version)
            assert here.reload().json() == {"version": version, "swapped": True}
            scores[version] = [p["score"] for p in here.predict(*rows)["predictions"]]
    assert not asked.failed
    assert scores["v1.0.0"] != scores["v1.1.0"]
    assert {answer["model_version"] for answer in asked.answers} == set(scores)
    for answer in asked.answers:
        assert [p["score"] for p in answer["predictions"]] == scores[answer["model_version"]]
    assert here.metric("perenne_swaps_total") >= 3


def test_release_of_somebody_else_is_followed(here: Running) -> None:
    """It comes by the remote, and nobody tells the service."""
    here.project.run("git push -q origin HEAD 'refs/tags/*'")
    with serving_beside(here) as other:
        assert other.get("/v1/model")["version"] == "v1.0.0"
        assign("v1.1.0")
        here.project.run("git push -q origin 'refs/tags/*'")
        until = time.monotonic() + PATIENCE
        while other.get("/v1/model")["version"] != "v1.1.0":
            assert time.monotonic() < until
            time.sleep(0.2)


def serving_beside(running: Running) -> Any:
    """Serve from another clone, which asks its remote every second."""
    running.project.run("rm -rf ../beside && git clone -q ../origin.git ../beside")
    beside = Project(running.project.path.parent / "beside")
    beside.edit("poll_seconds: .*", "poll_seconds: 1")
    return serving(beside, "--log-url", f"sqlite:///{beside.path.parent}/beside.sqlite")


def test_start_while_the_remote_is_away(company: Project) -> None:
    """A restart must not need the Git host: what was known is served, and it is said; later all is well."""
    company.run("mv ../origin.git ../away.git")
    with serving(company) as running:
        assert running.predict(example(running))["model_version"] == "v1.0.0"
        told = running.get("/readyz")
        assert told["ready"]
        assert told["refused"].endswith("what was in prod when it was last asked is served")
        company.run("mv ../away.git ../origin.git")
        assert running.reload().json() == {"version": "v1.0.0", "swapped": False}
        assert running.get("/readyz")["refused"] is None


def test_score_that_is_not_the_released_one_is_refused(here: Running) -> None:
    """The golden predictions are part of the tag: what does not reproduce them is not what was measured."""
    here.project.run("git commit -q --allow-empty -m other")
    scores = golden.record(NAME)
    register("v1.2.0", {"model": {"sha256": sha256()}, "golden": scores | {0: scores[0] + 1e-6}})
    assign("v1.2.0")
    assert refusal(here).startswith(
        f"retirement@v1.2.0: golden row 0: the score here is {scores[0]}, but it was"
    )


def test_other_contract_is_refused(here: Running) -> None:
    """Callers would notice; the reason says what."""
    here.project.run("git checkout -q --detach")
    here.project.edit(r"range: \[60, 216\]", "range: [60, 200]", CONTRACT)
    here.project.commit("another contract")
    register("v2.0.0", {"model": {"sha256": sha256()}, "golden": golden.record(NAME)})
    assign("v2.0.0")
    why = refusal(here)
    assert why.startswith(
        "retirement@v2.0.0: its contract is another one: contract: feature quarters: integer"
    )
    assert "[60.0, 200.0]" in why


def test_tag_without_a_model_of_its_own_is_refused(here: Running) -> None:
    """A commit whose lock names another model than the tag proves."""
    here.project.run("git commit -q --allow-empty -m third")
    register("v1.3.0", {"model": {"sha256": "a" * 64}})
    assign("v1.3.0")
    assert f"its sha256 is {sha256()}, but its tag retirement@v1.3.0 says aaaa" in refusal(here)


def test_moved_tag_is_refused(here: Running) -> None:
    """Whoever moves a tag here, by hand, has another one than the remote."""
    here.project.run("git push -q origin 'refs/tags/*' && git commit -q --allow-empty -m fourth")
    was = git.git("rev-parse", "refs/tags/retirement@v1.0.0")
    message = here.project.out("git tag -l --format='%(contents)' retirement@v1.0.0")
    here.project.write("../message", message)
    here.project.run("git tag -f -a -F ../message --cleanup=verbatim retirement@v1.0.0")
    try:
        assert refusal(here).startswith("the tag retirement@v1.0.0 is not the one that origin has")
    finally:
        git.git("update-ref", "refs/tags/retirement@v1.0.0", was)


@pytest.mark.usefixtures("here")
def test_byte_changed_on_the_way_is_refused(tmp_path: Path) -> None:
    """Whatever happened between the storage and the memory: the tag says which bytes are loaded."""
    version = tags.read(NAME).find("v1.0.0")
    bring(NAME, "v1.0.0", tmp_path, require_signed=False)
    load(NAME, version, tmp_path)
    data = bytearray((tmp_path / "model.skops").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "model.skops").write_bytes(data)
    with pytest.raises(
        PerenneError, match=r"model.skops: its sha256 is .*, but its tag retirement@v1.0.0 says"
    ):
        load(NAME, version, tmp_path)


def test_degraded_version_says_so(here: Running) -> None:
    """As long as the stage `degraded` holds it."""
    assign("v1.0.0", "degraded")
    here.reload()
    assert here.get("/v1/model")["degraded"] is True
    assert here.metric("perenne_model_degraded") == 1
    assign("v9.9.9", "degraded")
    here.reload()
    assert here.get("/v1/model")["degraded"] is False


def test_shadow_scores_and_never_answers(here: Running) -> None:
    """The log has both scores under one id; the answer is that of prod."""
    assign("v1.1.0", "shadow")
    here.reload()
    assert here.get("/v1/model")["shadow"] == "v1.1.0"
    answer = here.predict(example(here))
    (prediction,) = answer["predictions"]
    assert answer["model_version"] == "v1.0.0"
    until = time.monotonic() + PATIENCE
    found: dict[str, tuple[str, float]] = {}
    while "shadow" not in found and time.monotonic() < until:
        with sqlite3.connect(here.project.path.parent / "log.sqlite") as log:
            asked = "select stage, version, score from predictions where id = ?"
            lines = log.execute(asked, (prediction["id"],))
            found = {stage: (version, score) for stage, version, score in lines}
    assert found["prod"] == ("v1.0.0", prediction["score"])
    assert found["shadow"][0] == "v1.1.0"
    assert found["shadow"][1] != prediction["score"]
    assert here.metric("perenne_shadow_rows_total") >= 1
