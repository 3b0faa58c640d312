"""A running service: `perenne serve` in a process of its own, asked over a real socket."""

from __future__ import annotations

import hashlib
import json
import re
import selectors
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.project import Project, environment

TOKEN = "open sesame"  # noqa: S105 -- of the tests
SHA256 = hashlib.sha256(TOKEN.encode()).hexdigest()
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PATIENCE = 120.0  # seconds to start, or to come to something: other tests run on the same cores


@dataclass(frozen=True)
class Running:
    """The process, and a client of it."""

    process: subprocess.Popen[str]
    client: httpx.Client
    project: Project

    def predict(self, *rows: dict[str, Any], status: int = 200) -> dict[str, Any]:
        """Ask for predictions."""
        answer = self.client.post("/v1/predict", json={"rows": rows})
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def get(self, path: str, status: int = 200) -> Any:
        """Ask for what a path has to tell."""
        answer = self.client.get(path)
        assert answer.status_code == status, answer.text
        return answer.json()

    def metric(self, name: str) -> float:
        """Return the value of a metric, its labels included in the name."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.client.get("/metrics").text, re.MULTILINE)
        assert found, f"no metric {name}"
        return float(found[1])

    def reload(self) -> httpx.Response:
        """Let it ask the registry now."""
        return self.client.post("/admin/reload", timeout=PATIENCE)


def example(running: Running) -> dict[str, Any]:
    """Return the row that the service's document shows."""
    schemas = running.client.get("/openapi.json").json()["components"]["schemas"]
    row: dict[str, Any] = schemas["Row"]["example"]
    return row


@contextmanager
def serving(project: Project, *options: str, token: str | None = SHA256) -> Iterator[Running]:
    """Start the service on a port that is free, and stop it afterwards; `token`: the sha256 it knows."""
    project.edit("token_sha256: [^#]*", f"token_sha256: {token or 'null'} ")
    process = subprocess.Popen(
        [
            "perenne",
            "serve",
            "--port",
            "0",
            "--log-url",
            f"sqlite:///{project.path.parent}/log.sqlite",
            *options,
        ],
        cwd=project.path,
        env=environment(project.path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        url = _address(process)
        with httpx.Client(base_url=url, headers=BEARER, timeout=30) as client:
            yield Running(process, client, project)
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _address(process: subprocess.Popen[str]) -> str:
    """Wait for the line that says where it listens."""
    assert process.stdout
    assert process.stderr
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        until = time.monotonic() + PATIENCE
        while waiting.select(timeout=max(until - time.monotonic(), 0)):
            line = process.stdout.readline()
            found = re.search(r"is served on (http\S+)", line)
            if found:
                return found[1]
            assert line, process.stderr.read()
    raise AssertionError("it did not start in time")


def canonical(value: Any) -> str:
    """Return a value as JSON that equal values have in common."""
    return json.dumps(value, sort_keys=True)
