"""Kill the service under load, and check that every acknowledged prediction is in the log once."""

from __future__ import annotations

import http.client
import json
import sqlite3
import threading
from collections import Counter
from typing import Any, NamedTuple

from tests.project import Project
from tests.serving.running import BEARER, example, serving


class Kept(NamedTuple):
    """How many predictions were acknowledged, and how many of them are missing in the log, or there twice."""

    acknowledged: int
    lost: int
    twice: int


def kill(project: Project, clients: int = 8, after: int = 300) -> Kept:
    """Send SIGKILL once `after` predictions were acknowledged to several clients."""
    acknowledged: list[str] = []
    enough = threading.Event()
    with serving(project) as running:
        body = json.dumps({"rows": [example(running)] * 2})
        port = running.client.base_url.port
        assert port
        threads = [
            threading.Thread(target=_request, args=(port, body, acknowledged, enough, after))
            for _ in range(clients)
        ]
        for thread in threads:
            thread.start()
        assert enough.wait(120)
        running.process.kill()
        for thread in threads:
            thread.join()
    with sqlite3.connect(project.path.parent / "log.sqlite") as log:
        counts = Counter(name for (name,) in log.execute("select id from predictions where stage = 'prod'"))
    return Kept(
        len(acknowledged),
        sum(name not in counts for name in acknowledged),
        sum(counts[name] > 1 for name in acknowledged),
    )


def _request(port: int, body: str, acknowledged: list[str], enough: threading.Event, after: int) -> None:
    """Send requests until the service is gone."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Content-Type": "application/json", **BEARER}
    try:
        while True:
            connection.request("POST", "/v1/predict", body, headers)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            acknowledged += [prediction["id"] for prediction in answer["predictions"]]
            if len(acknowledged) >= after:
                enough.set()
    except (OSError, http.client.HTTPException, json.JSONDecodeError):
        connection.close()
