"""What a killed service leaves in the log, and what prevents a start."""

from __future__ import annotations

import pytest

from perenne.registry import golden
from tests.conftest import Enter
from tests.project import Project
from tests.serving.kills import kill
from tests.serving.running import BEARER, serving
from tests.serving.versions import NAME, assign, register


def test_kill_loses_no_acknowledged_prediction(company: Project) -> None:
    """Every answered prediction is in the log once; `make bench-serve` does this twenty times."""
    for _ in range(2):
        kept = kill(company)
        assert kept.acknowledged >= 300
        assert (kept.lost, kept.twice) == (0, 0)


def test_reload_requires_a_token(company: Project) -> None:
    """On this machine predictions need no token, but a reload does."""
    with serving(company, token=None) as running:
        assert running.client.post("/admin/reload", headers=BEARER).status_code == 401
        assert running.client.get("/v1/model", headers={"Authorization": ""}).status_code == 200


def test_start_with_a_bad_release_serves_the_one_before(company: Project, enter: Enter) -> None:
    """A restart must not turn a rejected release into an outage."""
    enter(company)
    company.run("git commit -q --allow-empty -m bad")
    register("v1.1.0", {"released": {"sha256": "a" * 64}, "golden": golden.record(NAME)})
    assign("v1.1.0")
    with serving(company) as running:
        state = running.get("/readyz")
        assert (state["ready"], state["version"]) == (True, "v1.0.0")
        assert "but its tag retirement@v1.1.0 says aaaa" in state["refused"]
    done = company.run("perenne serve --port 0 --stage v1.1.0", status=1)
    assert "but its tag retirement@v1.1.0 says aaaa" in done.stderr


def test_unsigned_tags_are_named_at_the_start(company: Project) -> None:
    """In one line, unless a good signature is required."""
    with serving(company) as running:
        assert running.process.stderr
        assert "prod: tags need no signature" in running.process.stderr.readline()
    refused = company.run("perenne serve --port 0 --require-signed", status=1)
    assert "tags need no signature" not in refused.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--host 0.0.0.0", "error: params.yaml: serve: host: 0.0.0.0 can be reached from other machines"),
        ("--stage staging", "error: nothing is in staging; perenne release puts a version there"),
        ("--require-signed", "error: retirement@v1.0.0: no good signature"),
        ("--log-url mysql://here", "error: "),
    ],
)
def test_failed_start_has_one_line(company: Project, options: str, message: str) -> None:
    """The service does not start if it could not answer, or would answer everybody."""
    done = company.run(f"perenne serve --port 0 {options}", status=1)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(message)
    assert "Traceback" not in done.stderr
