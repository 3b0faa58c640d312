"""The service over its socket: its answers, its limits, and what it does not reveal."""

from __future__ import annotations

import gzip
import json
import random
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urljoin

import httpx

from perenne.common import batches, model, model_file, names
from perenne.common.contract import read_contract
from tests.conftest import Enter
from tests.project import environment
from tests.serving.running import BEARER, Running, example

JSON = {"Content-Type": "application/json"}


def holdout(running: Running) -> tuple[list[dict[str, Any]], list[float]]:
    """Return rows of the holdout as a caller sends them, and the scores of the released model."""
    frame = batches.read_parquet(running.project.path / names.HOLDOUT)[:200]
    contract = read_contract("retirement")
    folder = running.project.path
    pipeline, _ = model_file.load(folder / names.RELEASED, folder / names.RELEASED_CARD)
    rows = batches.to_table(frame, batches.schema(contract)).drop([contract.target]).to_pylist()
    sent = json.loads(json.dumps(rows, default=lambda time: time.isoformat()))
    return sent, model.predict(pipeline, frame, contract).tolist()


def logged(running: Running) -> list[tuple[Any, ...]]:
    """Return all rows of the log."""
    with sqlite3.connect(running.project.path.parent / "log.sqlite") as log:
        return log.execute("select id, version, stage, score, features from predictions").fetchall()


def test_scores_are_those_of_the_pipeline(served: Running, enter: Enter) -> None:
    """Bit for bit over HTTP, for many rows or one; each has a unique id."""
    enter(served.project)
    rows, expected = holdout(served)
    answer = served.predict(*rows)
    assert [p["score"] for p in answer["predictions"]] == expected
    assert [p["class"] for p in answer["predictions"]] == [int(score >= 0.5) for score in expected]
    assert len({p["id"] for p in answer["predictions"]}) == len(rows)
    assert answer["model_version"] == "v1.0.0"
    assert served.predict(rows[7])["predictions"][0]["score"] == expected[7]


def test_answered_prediction_is_in_the_log(served: Running) -> None:
    """With its version, its score and its row, including columns that are not features."""
    row = example(served) | {"employee": 7, "site": "Paris"}
    prediction = served.predict(row)["predictions"][0]
    (entry,) = (line for line in logged(served) if line[0] == prediction["id"])
    assert entry[1:4] == ("v1.0.0", "prod", prediction["score"])
    assert json.loads(entry[4]) == row


def test_unseen_category_is_scored_and_flagged(served: Running) -> None:
    """The answer names the column, the metrics count the row."""
    row = example(served)
    before = served.metric("perenne_unseen_rows_total")
    answer = served.predict(row, row | {"site": "Brest"})["predictions"]
    assert "unseen" not in answer[0]
    assert answer[1]["unseen"] == ["site"]
    assert served.metric("perenne_unseen_rows_total") == before + 1


def test_problem_names_row_and_field(served: Running) -> None:
    """`detail` has the first problem in a line, `errors` has all."""
    row = example(served)
    bad = row | {"age": 12, "sallary": 3}
    del bad["quarters"]
    answer = served.predict(row, bad, status=422)
    assert answer["detail"] == "row 1, field age: found 12, must be greater than or equal to 60 (and 2 more)"
    problems = {(e["row"], e["field"]): e["problem"] for e in answer["errors"]}
    assert problems[1, "quarters"] == "missing"
    assert problems[1, "sallary"].startswith("no such column; did you mean 'salary'?")


def test_limits_have_their_own_status(served: Running) -> None:
    """Too many rows, or a body too large, with or without a content length."""
    row = example(served)
    assert "1000 rows" in served.predict(*[row] * 1_001, status=413)["detail"]
    body = json.dumps({"rows": [row]}).encode() + b" " * 1_000_000
    assert served.client.post("/v1/predict", content=body, headers=JSON).status_code == 413

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    assert served.client.post("/v1/predict", content=pieces(), headers=JSON).status_code == 413


def test_only_json_is_read(served: Running) -> None:
    """A web page can make a browser send a form to this machine."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = served.client.post("/v1/predict", content=b"{}", headers={"Content-Type": kind})
        assert answer.status_code == 415


def malformed(row: dict[str, Any], rng: random.Random) -> bytes:
    """Return a body that is wrong in a random way."""
    good = json.dumps({"rows": [row]}).encode()
    name = rng.choice(list(row))
    top: list[Any] = [[], {}, {"rows": row}, {"rows": []}, {"row": [row]}, "rows", 1]
    wrong: list[Any] = [None, [], {}, [[]], "x" * 500, -1e300, 2**80, {"a": 1}]
    value = rng.choice(wrong if name != "absence_days" else wrong[1:])
    deep = rng.randint(500, 50_000)
    ways = [
        lambda: good[: rng.randrange(len(good))],
        lambda: (
            good[: (at := rng.randrange(len(good)))] + bytes([rng.choice((0xFF, 0xC0, 0x00))]) + good[at:]
        ),
        lambda: json.dumps({"rows": [row | {name: value}]}).encode(),
        lambda: json.dumps({"rows": [{k: v for k, v in row.items() if k != "salary"}]}).encode(),
        lambda: json.dumps({"rows": [row | {f"{name}_": 1}]}).encode(),
        lambda: json.dumps(rng.choice(top)).encode(),
        lambda: json.dumps({"rows": [row, rng.choice(wrong)]}).encode(),
        lambda: b'{"rows": ' + b"[" * deep + b"]" * deep + b"}",
        lambda: good.replace(b"64.875", rng.choice((b"NaN", b"1e999", b"0x40", b"064", b"6 4", b"'64'"))),
        lambda: bytes(rng.randrange(256) for _ in range(rng.randrange(200))),
    ]
    return rng.choice(ways)()


def test_malformed_bodies_get_a_4xx(served: Running) -> None:
    """A thousand bodies: each gets a 4xx with JSON and no internals, and the service keeps answering."""
    rng, row = random.Random(0), example(served)  # noqa: S311 -- the same bodies each time
    assert row["age"] == 64.875
    for _ in range(1_000):
        body = malformed(row, rng)
        answer = served.client.post("/v1/predict", content=body, headers=JSON)
        assert 400 <= answer.status_code < 500, body
        assert "Traceback" not in answer.text
        assert answer.json()["detail"]
    served.predict(row)


def test_answers_match_the_openapi_document(served: Running) -> None:
    """Schemathesis sends valid and invalid requests to every route."""
    done = subprocess.run(
        [
            *("schemathesis", "run", f"{served.client.base_url}/openapi.json", "--no-color"),
            *("--header", f"Authorization: {BEARER['Authorization']}", "--max-examples", "25", "--seed", "1"),
            *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance"),
            *("--checks", "response_schema_conformance", "--generation-database", "none"),
        ],
        cwd=served.project.path.parent,  # it leaves a folder there
        env=environment(served.project.path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr


def test_token_is_required(served: Running) -> None:
    """By every route except the two for supervisors; a wrong token counts as missing."""
    paths = served.client.get("/openapi.json").json()["paths"]
    assert set(served.get("/readyz")) == {"ready", "version", "refused", "log"}
    bad = [{}, {"Authorization": "Bearer x"}, {"Authorization": "Bearer"}, {"Authorization": "Basic eDp5"}]
    with httpx.Client(base_url=served.client.base_url) as stranger:
        for path, method in [(p, m) for p, methods in paths.items() for m in methods] + [("/docs", "get")]:
            for headers in bad:
                status = stranger.request(method, path, headers=headers).status_code
                assert (status == 200) == (path in ("/healthz", "/readyz")), path
                assert status in (200, 401)
        assert stranger.get("/readyz").json() == {"ready": True}


def test_docs_load_nothing_from_other_hosts(served: Running) -> None:
    """The page works without internet access, and behind a proxy that puts a prefix before its paths."""
    page = served.client.get("/docs")
    used = re.findall(r'(?:src|href|url: |Url": )[=]?["\']([^"\']+)["\']', page.text)
    assert len(used) >= 4
    assert {urljoin("https://shop.example/ml/docs", path).rpartition("/ml/")[0] for path in used} == {
        "https://shop.example"
    }
    assert {served.client.get(urljoin("/docs", path)).status_code for path in used} == {200}
    assert '"validatorUrl": null' in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert served.get("/openapi.json")["servers"] == [{"url": "."}]


def test_head_is_get_without_a_body(served: Running) -> None:
    """Supervisors and load balancers send it; a route that takes data has none."""
    for path in ("/healthz", "/readyz", "/v1/model", "/openapi.json", "/docs"):
        head, get = served.client.head(path), served.client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == get.headers["content-type"]
        assert int(head.headers["content-length"]) == len(get.content)
    assert served.client.head("/metrics").status_code == 200
    assert served.client.head("/v1/predict").status_code == 405
    assert served.client.head("/nowhere").status_code == 404


def test_slash_at_the_end_is_no_redirect(served: Running) -> None:
    """A redirect would name a scheme and a host that a proxy hides. What is no route stays unknown."""
    rows = {"rows": [example(served)]}
    assert served.client.post("/v1/predict/", json=rows).status_code == 200
    for path in ("/healthz/", "/readyz/", "/v1/model/", "/metrics/"):
        assert served.client.get(path).status_code == 200
    for path in ("/docs/", "/static-offline-docs", "/v1/predict//", "/v1/"):
        assert served.client.get(path).status_code == 404
    with httpx.Client(base_url=served.client.base_url) as stranger:
        assert stranger.post("/v1/predict/", json=rows).status_code == 401
        assert stranger.get("/healthz/").status_code == 200


def test_gzip_is_unpacked_within_the_limit(served: Running) -> None:
    """Other encodings are refused, and so is a small body that holds a large one."""
    body = json.dumps({"rows": [example(served)]}).encode()

    def post(content: bytes, encoding: str = "gzip", kind: str = "application/json") -> httpx.Response:
        headers = {"Content-Encoding": encoding, "Content-Type": kind}
        return served.client.post("/v1/predict", content=content, headers=headers)

    packed = gzip.compress(body)
    assert post(packed).status_code == 200
    assert post(gzip.compress(body[:9]) + gzip.compress(body[9:])).status_code == 200
    assert post(body, "identity").status_code == 200
    assert post(gzip.compress(b" " * 50_000_000 + body)).status_code == 413
    assert post(gzip.compress(b" " * 600_000) * 2).status_code == 413
    for broken in (packed[:-9], packed[:9], b"\x1f\x8b", body, packed + b"x"):
        assert post(broken).status_code == 400
    for other in ("br", "deflate", "zstd", "gzip, gzip"):
        assert post(packed, other).status_code == 415
    assert (
        post(body.decode().encode("utf-16"), "identity", "application/json; charset=UTF-16").status_code
        == 415
    )
    assert post(body, "identity", 'application/json; charset="UTF-8"').status_code == 200
    assert post(b"\xef\xbb\xbf" + body, "identity").status_code == 200  # as some editors save it


def test_body_of_another_shape_is_named(served: Running) -> None:
    """A row alone, a list of rows, the key of the other route: one line says what is expected."""
    row = example(served)
    wrong: list[tuple[str, Any]] = [("predict", row), ("predict", [row]), ("predict", {"labels": [row]})]
    wrong += [("predict", {}), ("labels", {"id": "a", "value": 1}), ("labels", {"rows": [row]})]
    for route, content in wrong:
        answer = served.client.post(f"/v1/{route}", json=content)
        key = {"predict": "rows"}.get(route, route)
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith(f'the body must be {{"{key}": [...]}}')
        assert [error["field"] for error in answer.json()["errors"]] == [key]
    for content in ({"rows": row}, {"rows": [row], "row": 1}):
        (error,) = served.client.post("/v1/predict", json=content).json()["errors"]
        assert error["field"] in content
        assert error["row"] is None
    assert served.predict(row, 3, status=422)["errors"][0]["row"] == 1  # type: ignore[arg-type]  # wrong


def test_long_names_and_many_names_are_answered_shortly(served: Running) -> None:
    """What a caller sends is not sent back whole, and finding what it meant takes no time."""
    row = example(served)
    long = served.predict(row | {"k" * 900_000: 1}, status=422)
    assert len(json.dumps(long)) < 5_000
    assert long["errors"][0]["field"] == "k" * 60 + "..."
    many = served.predict(row | dict.fromkeys((f"{n:x}" for n in range(90_000)), 1), status=422)
    assert many["detail"].startswith("90000 problems; send a single row")
    assert "salary" in many["detail"]


def test_service_is_not_ready_while_its_log_fails(served: Running) -> None:
    """It says so by itself, with a metric, and recovers by itself: it gets no traffic meanwhile."""
    row = example(served)
    log = sqlite3.connect(served.project.path.parent / "log.sqlite", isolation_level=None)
    with closing(log):
        log.execute("begin immediate")
        assert "log" in served.predict(row, status=503)["detail"]
        state = served.get("/readyz", status=503)
        assert state["ready"] is False
        assert "the last write failed: sqlite:" in state["log"]
        assert served.metric("perenne_log_failing") == 1
        assert served.metric("perenne_log_failed_rows_total") > 0
    served.until_ready()
    assert served.metric("perenne_log_failing") == 0
    served.predict(row)


def test_model_reports_the_release(served: Running) -> None:
    """Its metrics with intervals, since when it is the champion, and that it is not degraded."""
    report = served.get("/v1/model")
    assert (report["case"], report["version"], report["tag"]) == ("retirement", "v1.0.0", "retirement@v1.0.0")
    assert report["sha256"] == json.loads(served.project.read("data/model/released.json"))["sha256"]
    assert report["commit"] == served.project.out("git rev-parse HEAD").strip()
    assert set(report["metrics"]["log_loss"]) == {"value", "low", "high"}
    assert report["champion_since"] >= report["released"]
    assert (report["degraded"], report["shadow"], report["refused"]) == (False, None, None)


def test_metrics_reveal_no_row(served: Running) -> None:
    """They count requests, rows and scores, and have the version, but no value of a feature."""
    before = served.metric("perenne_rows_total")
    served.predict(*[example(served) | {"salary": 123_457}] * 3)
    assert served.metric("perenne_rows_total") == before + 3
    assert served.metric('perenne_model_info{stage="prod",version="v1.0.0"}') == 1
    assert served.metric("perenne_log_pending_rows") == 0
    text = served.client.get("/metrics").text
    assert 'perenne_requests_total{path="/v1/predict",status="200"}' in text
    assert "123457" not in text


def test_labels_are_stored(served: Running) -> None:
    """They may be repeated; unknown ids are listed; an invalid outcome gets a 422."""
    name = served.predict(example(served))["predictions"][0]["id"]
    for _ in range(2):
        outcomes = {"labels": [{"id": name, "value": 1, "at": "2021-03-31"}, {"id": "nobody", "value": 0}]}
        answer = served.client.post("/v1/labels", json=outcomes)
        expected = {"stored": 1, "unknown": ["nobody"], "superseded": []}
        assert (answer.status_code, answer.json()) == (200, expected)
    for wrong in ({"id": name}, {"id": name, "value": "yes"}, {"id": name, "value": 1, "at": "soon"}):
        assert served.client.post("/v1/labels", json={"labels": [wrong]}).status_code == 422
    older = {"labels": [{"id": name, "value": 0, "at": "2021-03-30"}]}
    answer = served.client.post("/v1/labels", json=older)
    assert answer.json() == {"stored": 0, "unknown": [], "superseded": [name]}
