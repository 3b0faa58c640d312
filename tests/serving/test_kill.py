"""What a service that dies leaves behind, and what keeps one from starting."""

from __future__ import annotations

import pytest

from perenne.registry import golden
from tests.conftest import Enter
from tests.project import Project
from tests.serving.kills import kill
from tests.serving.running import BEARER, serving
from tests.serving.versions import NAME, assign, register


def test_killed_under_load_it_has_kept_what_it_acknowledged(company: Project) -> None:
    """Every prediction that was answered is in the log, once; `make bench-serve` does it twenty times."""
    for _ in range(2):
        kept = kill(company)
        assert kept.acknowledged >= 300
        assert (kept.lost, kept.twice) == (0, 0)


def test_without_a_token_nobody_reloads(company: Project) -> None:
    """Rows are scored for whoever is on this machine; what needs a token needs one here, too."""
    with serving(company, token=None) as running:
        assert running.client.post("/admin/reload", headers=BEARER).status_code == 401
        assert running.client.get("/v1/model", headers={"Authorization": ""}).status_code == 200


def test_started_beside_a_bad_release_the_one_before_goes_on(company: Project, enter: Enter) -> None:
    """A restart must not be the moment at which a release that was refused takes the service down."""
    enter(company)
    company.run("git commit -q --allow-empty -m bad")
    register("v1.1.0", {"model": {"sha256": "a" * 64}, "golden": golden.record(NAME)})
    assign("v1.1.0")
    with serving(company) as running:
        told = running.get("/readyz")
        assert (told["ready"], told["version"]) == (True, "v1.0.0")
        assert "but its tag retirement@v1.1.0 says aaaa" in told["refused"]
    done = company.run("perenne serve --port 0 --stage v1.1.0", status=1)
    assert "but its tag retirement@v1.1.0 says aaaa" in done.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--host 0.0.0.0", "error: params.yaml: serve: host: 0.0.0.0 can be reached from other machines"),
        ("--stage staging", "error: nothing is in staging; perenne release puts a version there"),
        ("--require-signed", "error: retirement@v1.0.0: no good signature"),
        ("--log-url mysql://here", "error: "),
    ],
)
def test_start_is_refused_in_a_line(company: Project, options: str, told: str) -> None:
    """A service that would answer nobody, or anybody, is none."""
    done = company.run(f"perenne serve --port 0 {options}", status=1)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(told)
    assert "Traceback" not in done.stderr
