"""A running service: `perenne serve` in a process of its own, with a client on a real socket."""

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
PATIENCE = 120.0  # seconds to start, or to reach a state: other tests run on the same cores


@dataclass(frozen=True)
class Running:
    """The process, and a client of it."""

    process: subprocess.Popen[str]
    client: httpx.Client
    project: Project

    def predict(self, *rows: dict[str, Any], status: int = 200) -> dict[str, Any]:
        """Request predictions."""
        answer = self.client.post("/v1/predict", json={"rows": rows})
        assert answer.status_code == status, answer.text
        content: dict[str, Any] = answer.json()
        return content

    def get(self, path: str, status: int = 200) -> Any:
        """Return the JSON at a path."""
        answer = self.client.get(path)
        assert answer.status_code == status, answer.text
        return answer.json()

    def metric(self, name: str) -> float:
        """Return the value of a metric; the name includes its labels."""
        match = re.search(rf"^{re.escape(name)} (\S+)$", self.client.get("/metrics").text, re.MULTILINE)
        assert match, f"no metric {name}"
        return float(match[1])

    def until_ready(self) -> None:
        """Wait until it is ready; nothing is sent that it could write."""
        until = time.monotonic() + PATIENCE
        while self.client.get("/readyz").status_code != 200:
            assert time.monotonic() < until
            time.sleep(0.1)

    def reload(self) -> httpx.Response:
        """Make it read the registry now."""
        return self.client.post("/admin/reload", timeout=PATIENCE)


def example(running: Running) -> dict[str, Any]:
    """Return the example row of the OpenAPI document."""
    schemas = running.client.get("/openapi.json").json()["components"]["schemas"]
    row: dict[str, Any] = schemas["Row"]["example"]
    return row


@contextmanager
def serving(
    project: Project, *options: str, token: str | None = SHA256, files: int | None = None
) -> Iterator[Running]:
    """Run the service on a free port; `token` is the sha256 that it accepts, `files` its limit of files."""
    project.edit("token_sha256: [^#]*", f"token_sha256: {token or 'null'} ")
    limited = ("sh", "-c", f'ulimit -n {files}; exec "$@"', "sh") if files else ()
    process = subprocess.Popen(
        [
            *limited,
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
    """Wait for the line with its address."""
    assert process.stdout
    assert process.stderr
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        until = time.monotonic() + PATIENCE
        while waiting.select(timeout=max(until - time.monotonic(), 0)):
            line = process.stdout.readline()
            match = re.search(r"is served on (http\S+)", line)
            if match:
                return match[1]
            assert line, process.stderr.read()
    raise AssertionError("it did not start in time")


def canonical(value: Any) -> str:
    """Return a value as JSON; equal values have the same text."""
    return json.dumps(value, sort_keys=True)
