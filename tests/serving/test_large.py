"""Large requests beside small ones, over HTTP: each has its own answer, and it is in the log."""

from __future__ import annotations

import gzip
import json
import threading
from typing import Any

import httpx

from perenne.serving.log.database import Database
from tests.conftest import Enter
from tests.project import Project
from tests.serving.running import BEARER, Running, serving
from tests.serving.test_serve import holdout

LARGE = 1_000  # rows
CLIENTS = 3
TIMES = 4


def test_large_and_small_requests_together(company: Project, url: str, enter: Enter) -> None:
    """Each has its scores in its order, and is in the log with them, with one time and one version."""
    enter(company)
    with serving(company, "--log-url", url) as running:
        rows, expected = holdout(running)
        answered: list[dict[str, Any]] = []
        wrong: list[str] = []

        def ask(first: int, count: int, times: int) -> None:
            some = [(first + number) % len(rows) for number in range(count)]
            body = json.dumps({"rows": [rows[place] for place in some]}).encode()
            packed = gzip.compress(body) if first % 2 else body
            headers = BEARER | {"Content-Type": "application/json"} | ENCODING[first % 2]
            with httpx.Client(base_url=running.client.base_url, headers=headers, timeout=120) as client:
                for _ in range(times):
                    answer = client.post("/v1/predict", content=packed)
                    if answer.status_code != 200:
                        wrong.append(answer.text)
                        continue
                    answered.append(answer.json())
                    scores = [one["score"] for one in answered[-1]["predictions"]]
                    if scores != [expected[place] for place in some]:
                        wrong.append("other scores")

        threads = [threading.Thread(target=ask, args=(n, LARGE, TIMES)) for n in range(CLIENTS)]
        threads += [threading.Thread(target=ask, args=(n, 1, 20 * TIMES)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong
    with Database(url) as database:
        logged = {one.entry.id: one.entry for one in database.read("prod")}
    assert len(logged) == CLIENTS * TIMES * (LARGE + 20)
    for answer in answered:
        entries = [logged[one["id"]] for one in answer["predictions"]]
        assert [entry.score for entry in entries] == [one["score"] for one in answer["predictions"]]
        assert len({(entry.at, entry.version) for entry in entries}) == 1


ENCODING: list[dict[str, str]] = [{}, {"Content-Encoding": "gzip"}]


def test_problem_in_a_large_request_is_named(served: Running, enter: Enter) -> None:
    """By its row in the request, wherever the body was cut."""
    enter(served.project)
    rows, _ = holdout(served)
    many = [dict(rows[number % len(rows)]) for number in range(LARGE)]
    many[LARGE - 2] |= {"age": "old"}
    answer = served.predict(*many, status=422)
    assert [(one["row"], one["field"]) for one in answer["errors"]] == [(LARGE - 2, "age")]
    assert served.predict(*many[:2], *many[-2:], status=422)["errors"][0]["row"] == 2
    assert "the limit is 1000 rows" in served.predict(*rows[:1] * (LARGE + 1), status=413)["detail"]
