"""The smoke test: a version must pass it in the real server before it is released or deployed.

The server starts with the version, answers the golden rows over its socket with the released scores, and
answers single rows within the latency budget.
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
from typing import NamedTuple

from pydantic import TypeAdapter

from perenne.common.errors import PerenneError
from perenne.common.sections import contract_of
from perenne.registry import golden
from perenne.registry.tags import Version
from perenne.serving import settings
from perenne.serving.answers import ServedModel
from perenne.serving.predictions import PredictionsJSON, numbers
from perenne.serving.rows import InputRow

SECONDS_TO_START = 120.0
REQUESTS = 200  # single rows that the latency is measured on
WARM_UP = 20  # requests before them, which do not count
PREDICTIONS = TypeAdapter(PredictionsJSON)


class ServerClient(NamedTuple):
    """A client of a server on this machine."""

    port: int
    token: str

    def model(self) -> ServedModel:
        """The model that the server has.

        Raises
        ------
        PerenneError
            If the server does not answer, or its status is not 200.

        """
        return ServedModel.model_validate_json(self._request("GET", "/v1/model"))

    def predict(self, rows: list[InputRow]) -> PredictionsJSON:
        """Predictions for rows, as JSON has them.

        Raises
        ------
        PerenneError
            If the server does not answer, or its status is not 200.

        """
        return PREDICTIONS.validate_json(self._request("POST", "/v1/predict", json.dumps({"rows": rows})))

    def _request(self, method: str, path: str, body: str | None = None) -> bytes:
        """Send a request and return the body of the response; a status other than 200 is a `PerenneError`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise PerenneError(f"{path}: no answer: {error}") from error
        finally:
            connection.close()
        if response.status != 200:
            raise PerenneError(f"{path}: {response.status}: {content.decode()[:200]}")
        return content


def smoke_tester(name: str) -> Callable[[Version], str]:
    """Return `smoke_test` for one model, with `serve.budget_ms` of the working tree."""
    budget_ms = settings.load().budget_ms
    return lambda version: smoke_test(name, version, budget_ms)


def smoke_test(name: str, version: Version, budget_ms: float) -> str:
    """Run a version in the real server, and return a line with the result.

    Parameters
    ----------
    name
        The model.
    version
        Of that model; its tag has the golden predictions.
    budget_ms
        The p99 latency of a single row that is allowed, in milliseconds.

    Returns
    -------
    str
        The tag, the number of golden rows, and the p99 latency in milliseconds.

    Raises
    ------
    PerenneError
        If the server does not start, has another model, returns other scores, or is too slow.

    """
    recorded = golden.recorded(version)
    rows = golden.rows(version, contract_of(name, version.commit))
    with started(name, version.version) as server:
        served = server.model()
        if served.sha256 != version.released.sha256:
            raise PerenneError(f"{version.tag}: the server has another model: {served.sha256}")
        scores = [numbers(prediction) for prediction in server.predict(rows)["predictions"]]
        if other := golden.first_other(recorded, scores):
            raise PerenneError(
                f"{version.tag}: golden row {other.row}: answered {other.score!r}, "
                f"released {other.released!r}"
            )
        p99 = _p99(server, rows)
    if p99 > budget_ms:
        raise PerenneError(
            f"{version.tag}: a row takes {p99:.1f} ms (p99), serve.budget_ms allows {budget_ms:g}"
        )
    return f"{version.tag}: {len(rows)} golden rows as released, p99 {p99:.1f} ms"


@contextmanager
def started(name: str, version: str) -> Iterator[ServerClient]:
    """Run the server with one version, for this machine only, with its own token and log.

    The server is stopped afterwards.

    Parameters
    ----------
    name
        The model.
    version
        The version, such as v1.2.0.

    Yields
    ------
    ServerClient
        Once the server listens.

    Raises
    ------
    PerenneError
        If it does not start within `SECONDS_TO_START`; the message is the server's own.

    """
    token = secrets.token_urlsafe()
    command = [sys.executable, "-P", "-m", "perenne.cli", "serve", "--stage", version, "--case", name]
    env = os.environ | {"PERENNE_TOKEN_SHA256": hashlib.sha256(token.encode()).hexdigest()}
    with TemporaryDirectory(prefix="perenne-") as folder, (Path(folder) / "stderr").open("w") as stderr:
        where = (
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--workers",
            "1",
            "--log-url",
            f"sqlite:///{folder}/log.sqlite",
        )
        process = subprocess.Popen(  # noqa: S603 -- our own server
            [*command, *where], env=env, stdout=subprocess.PIPE, stderr=stderr, text=True
        )
        try:
            yield ServerClient(_port(process, Path(stderr.name)), token)
        finally:
            process.terminate()
            process.communicate()


def _port(process: subprocess.Popen[str], stderr: Path) -> int:
    """Wait for the line with the server's address."""
    assert process.stdout  # noqa: S101 -- a pipe, as started
    until = time.monotonic() + SECONDS_TO_START
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        while waiting.select(timeout=max(until - time.monotonic(), 0)):
            line = process.stdout.readline()
            if match := re.search(r" on http://\S+:(\d+)$", line.strip()):
                return int(match[1])
            if not line:
                lines = stderr.read_text(encoding="utf-8").strip().splitlines()
                raise PerenneError(
                    lines[-1].removeprefix("error: ") if lines else "it ended without a message"
                )
    raise PerenneError(f"the server did not start within {SECONDS_TO_START:.0f} s")


def _p99(server: ServerClient, rows: list[InputRow]) -> float:
    """The 99th percentile of the time from request to response for a single row, in milliseconds."""
    times = []
    for number in range(WARM_UP + REQUESTS):
        start = time.perf_counter()
        server.predict([rows[number % len(rows)]])
        times.append(1_000 * (time.perf_counter() - start))
    return sorted(times[WARM_UP:])[math.ceil(0.99 * REQUESTS) - 1]
