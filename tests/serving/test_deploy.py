"""Deploying: tried in the real server, and only then put to use."""

from __future__ import annotations

import re

import pytest

from perenne.common.errors import PerenneError
from perenne.registry import golden, tags
from perenne.serving.deploy import deploy
from tests.conftest import Enter
from tests.project import Project
from tests.serving.versions import NAME, assign, register, sha256


@pytest.fixture(autouse=True)
def here(company: Project, enter: Enter) -> Project:
    """Return the company as the current folder, with a second version that is in no stage."""
    enter(company)
    company.run("git commit -q --allow-empty -m second")
    register("v1.1.0", {"model": {"sha256": sha256()}, "golden": golden.record(NAME)})
    return company


def let_go(which: str | None = None, budget_ms: float = 10_000) -> str:
    """Deploy to prod, with all the time in the world."""
    return deploy(NAME, which, stage="prod", budget_ms=budget_ms, push=False)


def in_prod() -> str:
    """Return the version in prod."""
    return tags.read(NAME).find("prod").version


def test_newest_version_is_tried_and_put_to_use() -> None:
    """It has answered the golden rows over a socket; what is in prod already is tried all the same."""
    told = let_go()
    assert told.startswith("retirement@v1.1.0: 36 golden rows as released, p99 ")
    assert told.endswith("it is in prod now, by retirement#prod#2")
    assert in_prod() == "v1.1.0"
    assert let_go("v1.1.0").endswith("it is in prod")
    assert "golden rows as released" in (tags.read(NAME).history("prod")[-1].message)


def test_version_that_is_too_slow_is_not(here: Project) -> None:
    """The budget counts from request to answer, commit included."""
    with pytest.raises(PerenneError, match=r"v1\.1\.0: a row takes .* allows 0\.001; it was not put in prod"):
        let_go(budget_ms=0.001)
    assert in_prod() == "v1.0.0"
    done = here.run("perenne deploy v7.0.0", status=1)
    assert done.stderr.startswith("error: v7.0.0: no version or stage of retirement")


def test_release_tries_its_version_first(company: Project) -> None:
    """In the real server: too slow a one is no version, and what was in prod stays there."""
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
    tried, released = company.out("perenne release --try").splitlines()
    assert tried.startswith("retirement@v1.1.0: 36 golden rows as released, p99 ")
    assert released.startswith("released retirement@v1.1.0, retirement#prod#2;")


def test_version_that_fails_in_use_makes_room(here: Project) -> None:
    """Where a release has put it in prod at once, the one before comes back."""
    here.run("git commit -q --allow-empty -m third")
    register("v1.2.0", {"model": {"sha256": "a" * 64}, "golden": golden.record(NAME)})
    assign("v1.2.0")
    with pytest.raises(
        PerenneError, match=r"says aaaa.*; retirement@v1\.0\.0 is in prod instead of v1\.2\.0"
    ):
        let_go()
    assert in_prod() == "v1.0.0"
