"""Deploying: a version must pass the smoke test in the real server to be put in a stage."""

from __future__ import annotations

import re

import pytest

from perenne.common.errors import PerenneError
from perenne.registry import golden, tags
from perenne.serving.rollout import deploy
from tests.conftest import Enter
from tests.project import Project
from tests.serving.versions import NAME, assign, register, sha256


@pytest.fixture(autouse=True)
def here(company: Project, enter: Enter) -> Project:
    """Return the company as the current folder, with a second version that is in no stage."""
    enter(company)
    company.run("git commit -q --allow-empty -m second")
    register("v1.1.0", {"released": {"sha256": sha256()}, "golden": golden.record(NAME)})
    return company


def deployed(number: str | None = None, budget_ms: float = 10_000) -> str:
    """Deploy to prod, by default with a generous budget."""
    return deploy(NAME, number, stage="prod", budget_ms=budget_ms, push=False)


def in_prod() -> str:
    """Return the version in prod."""
    return tags.read(NAME).find("prod").version


def test_newest_version_is_tested_and_deployed() -> None:
    """It answers the golden rows over a socket. A version that is in prod already is tested, too."""
    result = deployed()
    assert result.startswith("retirement@v1.1.0: 36 golden rows as released, p99 ")
    assert result.endswith("it is in prod now, by retirement#prod#2")
    assert in_prod() == "v1.1.0"
    assert deployed("v1.1.0").endswith("it is in prod")
    assert "golden rows as released" in (tags.read(NAME).history("prod")[-1].message)


def test_slow_version_is_not_deployed(here: Project) -> None:
    """The time includes the commit in the log."""
    with pytest.raises(PerenneError, match=r"v1\.1\.0: a row takes .* allows 0\.001; it was not put in prod"):
        deployed(budget_ms=0.001)
    assert in_prod() == "v1.0.0"
    done = here.run("perenne deploy v7.0.0", status=1)
    assert done.stderr.startswith("error: v7.0.0: no version or stage of retirement")


def test_release_runs_the_smoke_test(company: Project) -> None:
    """If the model is too slow, there is no release, and prod keeps its version."""
    company.edit(r"max_iter: \d+", "max_iter: 60")
    company.edit(r"budget_ms: \d+", "budget_ms: 0.001")
    company.repro()
    company.commit("more rounds")
    company.run("git tag -d retirement@v1.1.0 && perenne gate")
    before = company.out("git tag -l && git ls-remote origin")
    done = company.run("perenne release --try", status=1)
    assert re.fullmatch(
        r"error: retirement@v1\.1\.0: a row takes .* \(p99\), serve\.budget_ms allows 0\.001\n", done.stderr
    )
    assert company.out("git tag -l && git ls-remote origin") == before
    company.edit(r"budget_ms: [0-9.]+", "budget_ms: 10000")
    company.commit("patience")
    tested, released = company.out("perenne release --try").splitlines()
    assert tested.startswith("retirement@v1.1.0: 36 golden rows as released, p99 ")
    assert released.startswith("released retirement@v1.1.0, retirement#prod#2;")


def test_failing_version_in_prod_is_rolled_back(here: Project) -> None:
    """The version before it replaces it."""
    here.run("git commit -q --allow-empty -m third")
    register("v1.2.0", {"released": {"sha256": "a" * 64}, "golden": golden.record(NAME)})
    assign("v1.2.0")
    with pytest.raises(
        PerenneError, match=r"says aaaa.*; retirement@v1\.0\.0 is in prod instead of v1\.2\.0"
    ):
        deployed()
    assert in_prod() == "v1.0.0"
