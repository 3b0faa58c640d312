"""A version with other code: a new process serves it, beside the old one, and takes over without a loss."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from sqlalchemy import create_engine, text

from perenne.registry import tags
from perenne.registry.rollback import rollback
from tests.conftest import Enter
from tests.project import Project
from tests.serving.running import BEARER, PATIENCE, Running, example, serving
from tests.serving.versions import NAME, assign, register, sha256

BETWEEN = 0.01  # seconds between two requests of a client: others need the processor too


def mine(rate: float) -> str:
    """Return the text of a module whose model predicts one rate: it stands in the code and nowhere else."""
    return f"""
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class Mine(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.tile([1 - {rate}, {rate}], (len(X), 1))
"""


@pytest.fixture
def here(company: Project, enter: Enter) -> Project:
    """Return the released company as the current folder."""
    enter(company)
    return company


def with_code(project: Project, text: str) -> None:
    """Commit a module of the project's own that the params name."""
    if "stages.mine" not in project.read("params.yaml"):
        project.edit(r"^  estimator: .*", "  estimator: stages.mine.Mine")
        project.edit(r"(?s)^  params:.*?(?=^  \w)", "  params: {}\n")
    project.write("stages/mine.py", text)
    project.commit("code of its own")


def release(version: str, stage: str = "prod", rate: float | None = None) -> None:
    """Release the last commit with the model that is there; `rate`: it predicts this for every row."""
    known = tags.read(NAME).find("v1.0.0").proof
    assert known
    assert known.golden
    scores = known.golden if rate is None else dict.fromkeys(known.golden, rate)
    register(version, {"released": {"sha256": sha256()}, "golden": scores})
    assign(version, stage)


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until something is so."""
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, what
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that run."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(one) for one in text.split()]


class Clients:
    """Clients that send requests without a pause, each over one connection, and keep all answers."""

    def __init__(self, running: Running, row: dict[str, Any], number: int = 4) -> None:
        self.port = running.client.base_url.port or 0
        self.body = json.dumps({"rows": [row]})
        self.answers: list[dict[str, Any]] = []
        self.failed: list[str] = []
        self.enough = threading.Event()
        self.threads = [threading.Thread(target=self._send) for _ in range(number)]

    def _send(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": "application/json", **BEARER}
        try:
            while not self.enough.is_set():
                connection.request("POST", "/v1/predict", self.body, headers)
                answer = connection.getresponse()
                text = answer.read()
                if answer.status == 200:
                    self.answers.append(json.loads(text))
                else:
                    self.failed.append(text.decode())
                self.enough.wait(BETWEEN)
        except (OSError, http.client.HTTPException) as error:
            self.failed.append(repr(error))
        finally:
            connection.close()

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.enough.set()
        for thread in self.threads:
            thread.join()


def logged(url: str) -> Counter[tuple[str, str]]:
    """Return the ids and versions of predictions in a log, counted."""
    engine = create_engine(url)
    with engine.connect() as log:
        found = log.execute(text("select id, version from predictions where stage = 'prod'"))
        counted = Counter((str(id_), str(version)) for id_, version in found)
    engine.dispose()
    return counted


def test_takeover_under_load(here: Project) -> None:
    """Every request is answered and logged once, by the code of one version, and after a swap by the new one.

    The model file is the same in both versions: only the code differs.
    """
    rates = {"v1.1.0": 0.25, "v1.2.0": 0.75}
    asked: list[dict[str, Any]] = []
    with serving(here) as running:
        row = example(running)

        def swapped(version: str) -> None:
            assert running.reload().json() == {"version": version, "swapped": True}
            asked.append(running.predict(row))
            assert asked[-1]["model_version"] == version

        with Clients(running, row) as clients:
            with_code(here, mine(rates["v1.1.0"]))
            for stage in ("train", "refit"):
                here.edit(
                    f"      - stages/{stage}.py",
                    f"      - stages/{stage}.py\n      - stages/mine.py",
                    "dvc.yaml",
                )
            here.repro("-s train refit")
            here.commit("a model of its own")
            release("v1.1.0", rate=rates["v1.1.0"])
            swapped("v1.1.0")
            with_code(here, mine(rates["v1.2.0"]))
            release("v1.2.0", rate=rates["v1.2.0"])
            swapped("v1.2.0")
            rollback(NAME, to=None, reason="a test", push=False)
            swapped("v1.1.0")
    assert clients.failed == []
    answers = [*clients.answers, *asked]
    assert {answer["model_version"] for answer in answers} == {"v1.0.0", *rates}
    scored = {(answer["model_version"], one["score"]) for answer in answers for one in answer["predictions"]}
    assert {(version, score) for version, score in scored if version in rates} == set(rates.items())
    answered = Counter(
        (one["id"], answer["model_version"]) for answer in answers for one in answer["predictions"]
    )
    assert answered == logged(f"sqlite:///{here.path.parent}/log.sqlite")
    assert running.process.returncode == -signal.SIGTERM


def test_process_that_fails_changes_nothing(here: Project, tmp_path: Path) -> None:
    """Code that raises, and a process that is killed before it is ready: one line, and the old one serves."""
    hanging = (
        f"import os, pathlib, time\npathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    with serving(here) as running:
        row = example(running)
        with_code(here, "rate = 1 / 0\n")
        release("v1.1.0")
        refused = running.reload()
        assert (refused.status_code, refused.json()["detail"]) == (
            409,
            "retirement@v1.1.0: stages/mine.py:1: ZeroDivisionError: division by zero",
        )
        with_code(here, hanging)
        release("v1.2.0")
        answers: list[httpx.Response] = []
        waiting = threading.Thread(target=lambda: answers.append(running.reload()))
        waiting.start()
        until((tmp_path / "pid").exists, "no process was started")
        assert running.predict(row)["model_version"] == "v1.0.0"
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
        waiting.join()
        why = "retirement@v1.2.0: its process ended with signal SIGKILL"
        assert answers[0].json() == {"detail": why}
        assert running.get("/v1/model")["refused"] == why
        assert running.predict(row)["model_version"] == "v1.0.0"
        # A signal while a process is being started: what has begun is answered, and nobody is left.
        (tmp_path / "pid").unlink()
        with socket.create_connection(("127.0.0.1", running.client.base_url.port or 0)) as late:
            body = json.dumps({"rows": [row]}).encode()
            fields = {"Host": "x", "Content-Type": "application/json", "Content-Length": len(body), **BEARER}
            head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            late.sendall(f"POST /v1/predict HTTP/1.1\r\n{head}\r\n".encode() + body[:9])
            waiting = threading.Thread(target=lambda: answers.append(running.reload()))
            waiting.start()
            until((tmp_path / "pid").exists, "no process was started")
            pid = int((tmp_path / "pid").read_text())
            running.process.send_signal(signal.SIGTERM)
            waiting.join()
            assert answers[1].status_code == 409
            late.sendall(body[9:])
            assert late.recv(100).startswith(b"HTTP/1.1 200 OK")
        running.process.wait(PATIENCE)
        until(lambda: not Path(f"/proc/{pid}").exists(), "the new process goes on")


@pytest.mark.usefixtures("cold")
def test_start_with_code_of_its_own(here: Project) -> None:
    """The released code is served whatever is in the working tree; a shadow cannot have other code.

    The process that was started is only the parent, and ends with the one that serves.
    """
    with_code(here, "class Mine:\n    rate = 1\n")
    release("v1.1.0")
    with_code(here, "raise SystemExit('the working tree')\n")
    release("v1.2.0", "shadow")
    with serving(here) as running:
        assert running.predict(example(running))["model_version"] == "v1.1.0"
        code = running.get("/v1/model")["code"]
        assert running.metric(f'perenne_model_code_info{{code="{code}"}}') == 1
        until(lambda: 'what="v1.2.0"' in running.client.get("/metrics").text, "the shadow is not refused")
        assert "it runs other code than retirement@v1.1.0" in running.client.get("/metrics").text
        assign("v1.2.0")
        answer = running.reload()
        assert answer.status_code == 409, answer.text
        assert answer.json()["detail"] == "retirement@v1.2.0: stages/mine.py:1: SystemExit: the working tree"
        assert b"perenne.serving.supervisor" in Path(f"/proc/{running.process.pid}/cmdline").read_bytes()
        until(lambda: len(children(running.process.pid)) == 1, "the process that failed goes on")
        (child,) = children(running.process.pid)
        os.kill(child, signal.SIGKILL)
        _, stderr = running.process.communicate(timeout=PATIENCE)
        assert running.process.returncode == 128 + signal.SIGKILL
        assert "error: the process that serves ended with signal SIGKILL" in stderr.splitlines()
