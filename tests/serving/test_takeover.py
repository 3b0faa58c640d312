"""A version with other code: a new process serves it, beside the old one, and takes over without a loss."""

from __future__ import annotations

import http.client
import json
import sqlite3
import threading
from collections import Counter
from typing import Any

from perenne.registry import golden
from perenne.registry.rollback import rollback
from tests.conftest import Enter
from tests.project import Project
from tests.serving.running import BEARER, Running, example, serving
from tests.serving.versions import NAME, assign, register, sha256

BETWEEN = 0.01  # seconds between two requests of a client: others need the processor too


def with_code(project: Project, text: str) -> None:
    """Commit a module of the project's own that the params name."""
    if "stages.mine" not in project.read("params.yaml"):
        project.edit(r"^    max_iter: ", "    note: stages.mine.Mine\n    max_iter: ")
    project.write("stages/mine.py", text)
    project.commit("code of its own")


def released(version: str) -> None:
    """Release the last commit with the model that is there."""
    register(version, {"released": {"sha256": sha256()}, "golden": golden.record(NAME)})
    assign(version)


class Clients:
    """Clients that send requests without a pause, each over one connection, and keep all answers."""

    def __init__(self, running: Running, row: dict[str, Any], number: int = 4) -> None:
        self.port = running.client.base_url.port
        self.body = json.dumps({"rows": [row]})
        self.answers: list[dict[str, Any]] = []
        self.failed: list[str] = []
        self.enough = threading.Event()
        self.threads = [threading.Thread(target=self._send) for _ in range(number)]

    def _send(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port or 0, timeout=60)
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

    def __enter__(self) -> Clients:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.enough.set()
        for thread in self.threads:
            thread.join()


def logged(project: Project) -> Counter[tuple[str, str]]:
    """Return the ids and versions of predictions in the log, counted."""
    with sqlite3.connect(project.path.parent / "log.sqlite") as log:
        return Counter(log.execute("select id, version from predictions where stage = 'prod'"))


def test_takeover(company: Project, enter: Enter) -> None:
    """Every request is answered."""
    enter(company)
    with serving(company) as running, Clients(running, example(running)) as clients:
        with_code(company, "class Mine:\n    rate = 1\n")
        released("v1.1.0")
        assert running.reload().json() == {"version": "v1.1.0", "swapped": True}
        assert running.predict(example(running))["model_version"] == "v1.1.0"
        with_code(company, "class Mine:\n    rate = 2\n")
        released("v1.2.0")
        assert running.reload().json() == {"version": "v1.2.0", "swapped": True}
        rollback(NAME, to="v1.0.0", reason="a test", push=False)
        assert running.reload().json() == {"version": "v1.0.0", "swapped": True}
        assert running.predict(example(running))["model_version"] == "v1.0.0"
    assert clients.failed == []
    assert {answer["model_version"] for answer in clients.answers} == {"v1.0.0", "v1.1.0", "v1.2.0"}
    answered = Counter(
        (one["id"], answer["model_version"]) for answer in clients.answers for one in answer["predictions"]
    )
    assert not answered - logged(company)
    assert len(answered) == sum(answered.values())
