"""Kill the service under load, and look whether it kept its word."""

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
    """What was acknowledged, and of that what is not in the log afterwards, or twice."""

    acknowledged: int
    lost: int
    twice: int


def kill(project: Project, clients: int = 8, after: int = 300) -> Kept:
    """Kill it with SIGKILL once so many predictions were acknowledged to several clients."""
    acknowledged: list[str] = []
    enough = threading.Event()
    with serving(project) as running:
        body = json.dumps({"rows": [example(running)] * 2})
        port = running.client.base_url.port
        assert port
        threads = [
            threading.Thread(target=_ask, args=(port, body, acknowledged, enough, after))
            for _ in range(clients)
        ]
        for thread in threads:
            thread.start()
        assert enough.wait(120)
        running.process.kill()
        for thread in threads:
            thread.join()
    with sqlite3.connect(project.path.parent / "log.sqlite") as log:
        found = Counter(name for (name,) in log.execute("select id from predictions where stage = 'prod'"))
    return Kept(
        len(acknowledged),
        sum(name not in found for name in acknowledged),
        sum(found[name] > 1 for name in acknowledged),
    )


def _ask(port: int, body: str, acknowledged: list[str], enough: threading.Event, after: int) -> None:
    """Ask until there is nobody to answer."""
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
