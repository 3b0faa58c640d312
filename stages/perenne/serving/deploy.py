"""Deploy: a version is tried in the real server, and only then put to use; `release` tries by the same.

Tried means: the server starts with it, answers the golden rows over its socket with the scores that were
released, and answers single rows within the latency that is asked for.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import math
import os
import re
import secrets
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from perenne.common.errors import PerenneError
from perenne.common.sections import contract_of
from perenne.registry import golden, tags
from perenne.registry.publish import assigned, publish
from perenne.registry.rollback import rollback
from perenne.registry.tags import Version
from perenne.serving import settings
from perenne.serving.served import TOLERANCE

SECONDS_TO_START = 120.0
REQUESTS = 200  # single rows that the latency is measured on
WARM = 20  # that come before and do not count


class Server(NamedTuple):
    """Where it listens, and what it wants to hear."""

    port: int
    token: str

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask, and return what it answers; anything but 200 is a `PerenneError`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise PerenneError(f"{path}: no answer: {error}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise PerenneError(f"{path}: {answer.status}: {text[:200]}")
        return json.loads(text)


def deploy(name: str, which: str | None, *, stage: str, budget_ms: float, push: bool) -> str:
    """Try a version (by default the newest) and put it in a stage; return what was done.

    Raises
    ------
    PerenneError
        If it fails: then it does not come into the stage, and if it is there already, the version that was
        there before comes back.

    """
    tags.fetch()
    registry = tags.read(name)
    if not which and not registry.versions:
        raise PerenneError(f"{name}: no version is released; perenne release makes one")
    version = registry.find(which) if which else max(registry.versions, key=lambda v: v.at)
    before = registry.in_stage(stage)
    try:
        told = attempt(name, version, budget_ms)
    except PerenneError as error:
        raise PerenneError(_undone(name, version, stage, str(error), before, push=push)) from error
    if before and before.version == version.version:
        return f"{told}; it is in {stage}"
    tag = assigned(registry, stage, version.commit, f"deployed: {told}")
    publish([tag], push=push)
    return f"{told}; it is in {stage} now, by {tag.name}"


def trial(name: str) -> Callable[[Version], str]:
    """How versions are tried here: as `attempt` does, within `serve.budget_ms` of the working tree."""
    budget_ms = settings.load().budget_ms
    return lambda version: attempt(name, version, budget_ms)


def attempt(name: str, version: Version, budget_ms: float) -> str:
    """Try a version in the real server, and say how it was; a `PerenneError` says what it does not do."""
    recorded = golden.recorded(version)
    rows = golden.rows(version, contract_of(name, version.commit))
    with started(name, version.version) as server:
        served = server.ask("GET", "/v1/model")
        if served["sha256"] != version.sha256:
            raise PerenneError(f"{version.tag}: the server has another model: {served['sha256']}")
        answer = server.ask("POST", "/v1/predict", {"rows": rows})
        scores = [prediction["score"] for prediction in answer["predictions"]]
        for (row, said), score in zip(recorded.items(), scores, strict=True):
            if not math.isclose(score, said, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
                raise PerenneError(f"{version.tag}: golden row {row}: answered {score!r}, released {said!r}")
        p99 = _p99(server, rows)
    if p99 > budget_ms:
        raise PerenneError(
            f"{version.tag}: a row takes {p99:.1f} ms (p99), serve.budget_ms allows {budget_ms:g}"
        )
    return f"{version.tag}: {len(rows)} golden rows as released, p99 {p99:.1f} ms"


@contextmanager
def started(name: str, version: str) -> Iterator[Server]:
    """Start the server with one version, on this machine alone, with a token and a log of its own."""
    token = secrets.token_urlsafe()
    command = [sys.executable, "-P", "-m", "perenne.cli", "serve", "--stage", version, "--case", name]
    env = os.environ | {"PERENNE_TOKEN_SHA256": hashlib.sha256(token.encode()).hexdigest()}
    with TemporaryDirectory(prefix="perenne-") as folder, (Path(folder) / "stderr").open("w") as stderr:
        where = ("--host", "127.0.0.1", "--port", "0", "--log-url", f"sqlite:///{folder}/log.sqlite")
        process = subprocess.Popen(  # noqa: S603 -- our own server
            [*command, *where], env=env, stdout=subprocess.PIPE, stderr=stderr, text=True
        )
        try:
            yield Server(_port(process, Path(stderr.name)), token)
        finally:
            process.terminate()
            process.communicate()


def _port(process: subprocess.Popen[str], stderr: Path) -> int:
    """Wait for the line that says where it listens."""
    assert process.stdout  # noqa: S101 -- a pipe, as started
    until = time.monotonic() + SECONDS_TO_START
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        while waiting.select(timeout=max(until - time.monotonic(), 0)):
            line = process.stdout.readline()
            if found := re.search(r" on http://\S+:(\d+)$", line.strip()):
                return int(found[1])
            if not line:
                said = stderr.read_text(encoding="utf-8").strip().splitlines() or ["it ended without a word"]
                raise PerenneError(said[-1].removeprefix("error: "))
    raise PerenneError(f"the server did not start within {SECONDS_TO_START:.0f} s")


def _p99(server: Server, rows: list[dict[str, Any]]) -> float:
    """The 99th percentile in ms of the time that a single row takes, from request to answer."""
    times = []
    for number in range(WARM + REQUESTS):
        start = time.perf_counter()
        server.ask("POST", "/v1/predict", {"rows": [rows[number % len(rows)]]})
        times.append(1_000 * (time.perf_counter() - start))
    return sorted(times[WARM:])[math.ceil(0.99 * REQUESTS) - 1]


def _undone(name: str, version: Version, stage: str, why: str, before: Version | None, *, push: bool) -> str:
    """What is told of a version that failed, after it was taken out of the stage if it was there."""
    if before is None or before.version != version.version:
        return f"{why}; it was not put in {stage}"
    try:
        done = rollback(name, to=None, stage=stage, reason=f"not deployed: {why}", push=push)
    except PerenneError as error:  # there was none before it: what fails in use is still told
        return f"{why}; it stays in {stage}: {error}"
    return f"{why}; {done}"
