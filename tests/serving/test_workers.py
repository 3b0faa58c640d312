"""Several workers: each connection has one of them, a killed one is replaced, and all serve the same."""

from __future__ import annotations

import http.client
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.mmap_dict import MmapedDict

from tests.conftest import Enter
from tests.project import Project
from tests.serving.running import BEARER, Running, example, serving
from tests.serving.test_takeover import BETWEEN, Clients, logged, release, until, with_code

ROWS = 3
ANSWERED = 'perenne_requests_total{path="/v1/predict",status="200"}'


class Reconnecting(Clients):
    """Clients that connect again when their connection has ended, and keep what this has cost."""

    def __init__(self, running: Running, row: dict[str, Any]) -> None:
        super().__init__(running, row)
        self.body = json.dumps({"rows": [row] * ROWS})
        self.lost: list[str] = []

    def _send(self) -> None:
        headers = {"Content-Type": "application/json", **BEARER}
        while not self.enough.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                while not self.enough.is_set():
                    connection.request("POST", "/v1/predict", self.body, headers)
                    answer = connection.getresponse()
                    text = answer.read()
                    (self.answers if answer.status == 200 else self.failed).append(json.loads(text))
                    self.enough.wait(BETWEEN)
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(repr(error))
            finally:
                connection.close()

    def more(self, number: int = 40) -> None:
        """Wait until so many more requests were answered."""
        enough = len(self.answers) + number
        until(lambda: len(self.answers) >= enough or self.failed, "no answers")


@pytest.fixture
def two(company: Project, enter: Enter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """Return a service of two workers, in its repository. Its files for a time are beside it."""
    enter(company)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    with serving(company, "--workers", "2") as running:
        until(lambda: of_all(running, "perenne_workers") == 2, "there are no two workers")
        yield running


def of_all(running: Running, name: str) -> float:
    """Return a metric, as the worker has it that takes the next connection."""
    with httpx.Client(base_url=running.client.base_url, headers=BEARER, timeout=30) as client:
        return Running(running.process, client, running.project).metric(name)


def versions(running: Running, row: dict[str, Any], connections: int = 4) -> set[str]:
    """Return which versions answer on new connections, of which each worker gets its share."""
    url, body = f"{running.client.base_url}/v1/predict", {"rows": [row]}
    answers = [httpx.post(url, json=body, headers=BEARER, timeout=30).json() for _ in range(connections)]
    return {str(answer["model_version"]) for answer in answers}


def workers(running: Running) -> list[int]:
    """Return the processes that serve, the oldest first."""
    files = (running.project.path.parents[1] / "tmp").glob("perenne-workers-*/gauge_livesum_*.db")
    return sorted(int(file.stem.rpartition("_")[2]) for file in files)


def answered(running: Running, pid: int) -> float:
    """Return how many requests for predictions a worker has answered."""
    (file,) = (running.project.path.parents[1] / "tmp").glob(f"perenne-workers-*/counter_{pid}.db")
    values = MmapedDict.read_all_values_from_file(str(file))  # type: ignore[no-untyped-call]  # theirs
    return float(sum(value for key, value, *_ in values if "/v1/predict" in key))


def test_workers_answer_die_and_follow(two: Running) -> None:
    """A killed worker costs no more than the requests on its connections, and all follow each release."""
    row, project = example(two), two.project
    with Reconnecting(two, row) as clients:
        clients.more()
        first, other = workers(two)
        assert min(answered(two, first), answered(two, other)) > 0
        project.run("git commit -q --allow-empty -m next")
        release("v1.1.0")
        reload = httpx.post(f"{two.client.base_url}/admin/reload", headers=BEARER, timeout=60).json()
        assert reload == {"version": "v1.1.0", "swapped": True}
        assert versions(two, row) == {"v1.1.0"}
        two.client.close()  # it may be connected to the one that is killed
        os.kill(first, signal.SIGKILL)  # it follows the tag
        clients.more()
        until(lambda: of_all(two, "perenne_workers") == 2, "the killed worker is not replaced")
        assert first not in workers(two)
        assert len(clients.lost) <= 2  # four connections were dealt in turn
        asked = 4
        before = len(clients.answers)
        assert before <= of_all(two, ANSWERED) - asked <= len(clients.answers) + len(clients.threads)
        with_code(project, "class Mine:\n    rate = 1\n")
        release("v1.2.0")
        old = workers(two)
        lost = len(clients.lost)
        answer = httpx.post(f"{two.client.base_url}/admin/reload", headers=BEARER, timeout=120)
        assert answer.json() == {"version": "v1.2.0", "swapped": True}
        assert versions(two, row) == {"v1.2.0"}
        until(lambda: not {*old} & {*workers(two)}, "the workers with the old code go on")
        clients.more()
        new = workers(two)
        assert len(new) == 2
        assert min(answered(two, pid) for pid in new) > 2  # they have got the connections, too
    assert (clients.failed, len(clients.lost)) == ([], lost)
    log = logged(f"sqlite:///{project.path.parent}/log.sqlite")
    own = Counter((one["id"], a["model_version"]) for a in clients.answers for one in a["predictions"])
    assert set(own.values()) == {1}
    assert own <= log  # what was answered is there, under the one version that the answer names
    assert log.total() - own.total() <= 8 + ROWS * len(clients.lost)
    two.process.send_signal(signal.SIGTERM)
    assert two.process.wait(60) == -signal.SIGTERM
    assert not any(psutil.pid_exists(pid) for pid in new)
    assert not [*(project.path.parents[1] / "tmp").glob("perenne-workers-*")]
