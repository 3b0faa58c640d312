"""Following a stage: a good version is swapped in between two requests, a bad one is rejected."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
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
from perenne.registry.tags import Version
from perenne.serving import follower
from perenne.serving.download import download
from perenne.serving.follower import Follower
from perenne.serving.served import load
from tests.conftest import Enter
from tests.project import Project
from tests.serving.running import PATIENCE, Running, example, serving
from tests.serving.versions import NAME, assign, register, sha256

CONTRACT = "data/cases/retirement/contract.yaml"


@pytest.fixture(scope="module")
def running(founded: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return the company with its service; HEAD has a model of 60 rounds, not registered yet."""
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
    """Return the service with v1.0.0 in prod and v1.1.0 in no stage; its project is the current folder."""
    enter(running.project)
    registry = tags.read(NAME)
    if "v1.1.0" not in registry.registered:
        register("v1.1.0", {"released": {"sha256": sha256()}, "golden": golden.record(NAME)})
    if registry.find("prod").version != "v1.0.0":
        rollback(NAME, to="v1.0.0", reason="for the next test", push=False)
    for stage in ("degraded", "shadow"):
        if registry.in_stage(stage):
            assign("v9.9.9", stage)
    running.project.run("git checkout -q main")
    running.reload()
    return running


def refusal(running: Running) -> str:
    """Make it read the registry; return why it rejects the version, while the old one keeps serving."""
    answer = running.reload()
    assert answer.status_code == 409, answer.text
    why: str = answer.json()["detail"]
    assert running.get("/readyz") == {"ready": True, "version": "v1.0.0", "refused": why, "log": "commit"}
    assert running.get("/v1/model")["refused"] == why
    lines = [line for line in running.client.get("/metrics").text.splitlines() if "perenne_refused{" in line]
    assert json.dumps(why)[1:-1] in lines[0]
    assert running.predict(example(running))["model_version"] == "v1.0.0"
    return why


class Load(threading.Thread):
    """Sends requests without a pause until it is stopped, and keeps the answers."""

    def __init__(self, running: Running, rows: list[dict[str, Any]]) -> None:
        super().__init__()
        self.running, self.rows = running, rows
        self.answers: list[dict[str, Any]] = []
        self.failed: list[str] = []
        self.enough = threading.Event()

    def run(self) -> None:
        """Send requests."""
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
    """No request fails, each answer has the scores of its version, and a rollback is a swap as well."""
    row = example(here)
    rows = [row | {"age": age} for age in (60.5, 62.25, 64.0, 66.5)]
    scores = {}
    with Load(here, rows) as traffic:
        for version in ("v1.1.0", "v1.0.0", "v1.1.0"):
            if version == "v1.0.0":
                rollback(NAME, to=None, reason="a test", push=False)
            else:
                assign(version)
            assert here.reload().json() == {"version": version, "swapped": True}
            scores[version] = [p["score"] for p in here.predict(*rows)["predictions"]]
    assert not traffic.failed
    assert scores["v1.0.0"] != scores["v1.1.0"]
    assert {answer["model_version"] for answer in traffic.answers} == set(scores)
    for answer in traffic.answers:
        assert [p["score"] for p in answer["predictions"]] == scores[answer["model_version"]]
    assert here.metric("perenne_swaps_total") >= 3


def test_release_of_another_clone_is_followed(here: Running) -> None:
    """The service finds it in the remote by polling."""
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
    """Serve from another clone, which polls its remote every second."""
    running.project.run("rm -rf ../beside && git clone -q ../origin.git ../beside")
    beside = Project(running.project.path.parent / "beside")
    beside.edit("poll_seconds: .*", "poll_seconds: 1")
    return serving(beside, "--log-url", f"sqlite:///{beside.path.parent}/beside.sqlite")


def test_start_without_the_remote(company: Project) -> None:
    """A restart does not need the Git host: the last known version is served, and /readyz says so."""
    company.run("mv ../origin.git ../away.git")
    with serving(company) as running:
        assert running.predict(example(running))["model_version"] == "v1.0.0"
        state = running.get("/readyz")
        assert state["ready"]
        assert state["refused"].endswith("serving the version last known to be in prod")
        company.run("mv ../away.git ../origin.git")
        assert running.reload().json() == {"version": "v1.0.0", "swapped": False}
        assert running.get("/readyz")["refused"] is None


def test_other_golden_scores_are_rejected(here: Running) -> None:
    """A model that does not reproduce the golden predictions in its tag is not the one that was measured."""
    here.project.run("git commit -q --allow-empty -m other")
    scores = golden.record(NAME)
    first = scores[0]
    assert isinstance(first, float)
    register("v1.2.0", {"released": {"sha256": sha256()}, "golden": scores | {0: first + 1e-6}})
    assign("v1.2.0")
    assert refusal(here).startswith(f"retirement@v1.2.0: golden row 0: the score is {first} here, but")


def test_other_contract_is_rejected(here: Running) -> None:
    """Callers would have to change; the reason says how the contract differs."""
    here.project.run("git checkout -q --detach")
    here.project.edit(r"range: \[60, 216\]", "range: [60, 200]", CONTRACT)
    here.project.commit("another contract")
    register("v2.0.0", {"released": {"sha256": sha256()}, "golden": golden.record(NAME)})
    assign("v2.0.0")
    why = refusal(here)
    assert why.startswith("retirement@v2.0.0: its contract differs: contract: feature quarters: integer")
    assert "[60.0, 200.0]" in why


def test_tag_of_another_model_is_rejected(here: Running) -> None:
    """The commit's lock names another model than the tag."""
    here.project.run("git commit -q --allow-empty -m third")
    register("v1.3.0", {"released": {"sha256": "a" * 64}})
    assign("v1.3.0")
    assert f"its sha256 is {sha256()}, but its tag retirement@v1.3.0 says aaaa" in refusal(here)


def test_moved_tag_is_rejected(here: Running) -> None:
    """A tag that was moved by hand differs from the remote's."""
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
def test_corrupt_model_file_is_rejected(tmp_path: Path) -> None:
    """One byte differs from the file whose sha256 is in the tag."""
    version = tags.read(NAME).find("v1.0.0")
    download(NAME, "v1.0.0", tmp_path, require_signed=False)
    load(NAME, version, tmp_path)
    data = bytearray((tmp_path / "model.skops").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "model.skops").write_bytes(data)
    with pytest.raises(
        PerenneError, match=r"model.skops: its sha256 is .*, but its tag retirement@v1.0.0 says"
    ):
        load(NAME, version, tmp_path)


def test_degraded_version_is_reported(here: Running) -> None:
    """As long as it is in the stage `degraded`."""
    assign("v1.0.0", "degraded")
    here.reload()
    assert here.get("/v1/model")["degraded"] is True
    assert here.metric("perenne_model_degraded") == 1
    assign("v9.9.9", "degraded")
    here.reload()
    assert here.get("/v1/model")["degraded"] is False


def test_shadow_is_logged_and_not_returned(here: Running) -> None:
    """The log has both scores under one id; the answer has the score of prod."""
    assign("v1.1.0", "shadow")
    here.reload()
    assert here.get("/v1/model")["shadow"] == "v1.1.0"
    answer = here.predict(example(here))
    (prediction,) = answer["predictions"]
    assert answer["model_version"] == "v1.0.0"
    until = time.monotonic() + PATIENCE
    logged: dict[str, tuple[str, float]] = {}
    while "shadow" not in logged and time.monotonic() < until:
        with sqlite3.connect(here.project.path.parent / "log.sqlite") as log:
            query = "select stage, version, score from predictions where id = ?"
            lines = log.execute(query, (prediction["id"],))
            logged = {stage: (version, score) for stage, version, score in lines}
    assert logged["prod"] == ("v1.0.0", prediction["score"])
    assert logged["shadow"][0] == "v1.1.0"
    assert logged["shadow"][1] != prediction["score"]
    while here.metric("perenne_shadow_rows_total") < 1:  # it is counted once it is written
        assert time.monotonic() < until
        time.sleep(0.1)


def test_remote_whose_packets_stop_is_named(
    company: Project, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the connection and never answers: the version keeps serving, a start finds the last one."""
    enter(company)
    monkeypatch.setattr(follower, "FETCH_SECONDS", 0.5)

    async def here_only(_: Version) -> bool:
        return False

    async def work() -> None:
        followed = Follower(
            NAME, "prod", needed=True, require_signed=False, like=lambda: None, elsewhere=here_only
        )
        for _ in range(2):
            await followed.check(again=True)
            assert followed.live
            assert followed.live.version.version == "v1.0.0"
            assert followed.refused
            assert "git fetch: no answer within 0.5 s" in followed.refused.why

    with socket.create_server(("127.0.0.1", 0)) as silent:
        company.run(f"git remote set-url origin http://127.0.0.1:{silent.getsockname()[1]}/x.git")
        asyncio.run(work())
