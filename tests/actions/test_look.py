"""The look of a review: which of its values are used, by whose policy, and whose alpha it spends."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from perenne.actions.look_job import look, looked
from perenne.common import notes
from perenne.common.errors import PerenneError
from perenne.gate import ledger
from perenne.stats import spending
from tests import tiny
from tests.actions.running import Runner
from tests.actions.test_artifact import zipped
from tests.actions.test_comment import HERE, ended
from tests.conftest import Enter
from tests.forge.double import Double
from tests.project import Project

NOW = datetime(2026, 1, 1)
POLICY = "\ngate: {metric: brier, alpha: 0.05, rules: {floor: {min_gain: 0}}}\n"
SHA = "a" * 64
GATE: dict[str, Any] = {
    "case": "rain",
    "intent": "better",
    "challenger": {"sha256": SHA, "size": 7},
    "against": [SHA],
    "holdout": {"batches": {"2025-12": SHA}},
    "alpha": {"look": 1},
    "policy": {"alpha": 0.4},
}

SKETCH = {
    "first": "2025-12-01T00:00:00.000000",
    "last": "2025-12-31T00:00:00.000000",
    "rows": ["0" * 16],
    "sequences": ["1" * 16],
}


def review(**changes: Any) -> str:
    """Return a review whose gate differs in something."""
    return json.dumps({"base": "b" * 40, "gate": GATE | changes})


def test_models_and_batches_are_used() -> None:
    """The policy and the spent alpha are not: both are computed anew for the ledger."""
    compared = looked(review())
    assert compared
    models = {"case", "intent", "challenger", "released", "against"}
    assert set(compared.model_dump()) == models | {"view", "grouping", "batches", "sketch"}
    assert compared.batches == {"2025-12": SHA}


def test_review_that_compared_nothing_made_no_look() -> None:
    """The model was unchanged, not reproducible, or the champion's own."""
    assert looked(json.dumps({"gate": None})) is None
    assert looked(json.dumps({"gate": {"answer": "rejected"}})) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"gate": 7}',
        review(case="a b\n"),
        review(case="$(x)"),
        review(intent="worse"),
        review(challenger={"sha256": SHA, "size": 0}),
        review(challenger={"sha256": "../x", "size": 7}),
        review(released={"sha256": "../x", "size": 7}),
        review(against=[SHA] * 4),
        review(holdout={"batches": {}}),
        review(holdout={"batches": {"2025-12": "x"}}),
        review(holdout={"batches": {f"{i}": SHA for i in range(1001)}}),
        review(holdout=GATE["holdout"] | {"grouping": "x" * 1001}),
        review(holdout=GATE["holdout"] | {"sketch": SKETCH | {"first": "yesterday"}}),
        review(holdout=GATE["holdout"] | {"sketch": SKETCH | {"rows": ["0" * 16] * 25}}),
        review(holdout=GATE["holdout"] | {"sketch": SKETCH | {"sequences": ["x"]}}),
    ],
)
def test_text_that_no_review_writes_is_an_error(text: str) -> None:
    """One line names the file."""
    with pytest.raises(PerenneError, match=r"^review\.json"):
        looked(text)


@pytest.fixture
def main(tmp_path: Path, host: Double, enter: Enter) -> Project:
    """Return the default branch, checked out, with its bare origin; its alpha was larger once."""
    assert host.stored == []
    project = Project(tmp_path / "project")
    project.write("data/cases/tiny/contract.yaml", tiny.CONTRACT)
    project.write("params.yaml", tiny.PARAMS + POLICY.replace("0.05", "0.4"))
    project.run("git init -q -b main && git init -q --bare -b main ../origin.git")
    project.run("git remote add origin ../origin.git")
    project.commit("first")
    project.write("params.yaml", tiny.PARAMS + POLICY)
    project.commit("a stricter policy")
    project.run("git push -q -u origin main")
    enter(project)
    return project


def recorded(host: Double, runner: Runner, challenger: str, owner: str = "ada", **changes: Any) -> str:
    """Have a review end that has looked, and return what its job says."""
    changes = {"case": "tiny", "challenger": {"sha256": challenger * 64, "size": 7}} | changes
    host.uploaded("review", zipped(**{"review.json": review(**changes).encode()}))
    runner.happens(workflow_run=ended(owner), repository=HERE)
    return look(NOW)


@pytest.mark.usefixtures("main")
def test_look_of_a_review_is_in_the_ledger(host: Double, runner: Runner) -> None:
    """With the alpha of the default branch's policy, on the remote."""
    first = recorded(host, runner, "a")
    assert first == f"look 1 spends {0.05 * spending.share(1):.2g}; of 0.05, 0.025 is left"
    (line,) = notes.read("batch", SHA)
    assert (line["challenger"]["sha256"], line["policy"]["alpha"]) == ("a" * 64, 0.05)
    assert "fork" not in line


def test_policy_is_the_default_branchs_whatever_the_review_says(
    main: Project, host: Double, runner: Runner
) -> None:
    """An ancestor's alpha of .4 would leave nothing after the next look."""
    old = main.out("git rev-parse HEAD~").strip()
    text = json.dumps(json.loads(review(case="tiny", policy={"alpha": 0.4})) | {"base": old})
    host.uploaded("review", zipped(**{"review.json": text.encode()}))
    runner.happens(workflow_run=ended(), repository=HERE)
    assert "of 0.05," in look(NOW)


@pytest.mark.usefixtures("main")
def test_forks_cannot_drain_the_repositorys_alpha(host: Double, runner: Runner) -> None:
    """Whatever models they make up: they have an allowance of their own; the next own look is the first."""
    for name in "bcdef0123456789":
        said = recorded(host, runner, name, "eve")
        assert f"of {0.05 * ledger.FORKS:g}," in said
    assert recorded(host, runner, "a").startswith(f"look 1 spends {0.05 * spending.share(1):.2g};")
    forks = [line["alpha"] for line in notes.read("batch", SHA) if line.get("fork")]
    assert len(forks) == 15
    assert sum(forks) <= 0.05 * ledger.FORKS


@pytest.mark.usefixtures("main")
def test_fork_cannot_spend_the_alpha_of_a_model_before_the_repository_looks(
    host: Double, runner: Runner
) -> None:
    """It can compute which model a branch makes, and name it in a look of its own."""
    for name in "bcdefa":
        recorded(host, runner, name, "eve")
    assert recorded(host, runner, "a").startswith("look 1 spends 0.025; of 0.05")


@pytest.mark.usefixtures("main")
@pytest.mark.parametrize("batch", ["9999Q9", "9999-12", "2026-01", "2025-12-01", "2025Q4", "x", "2025-1"])
def test_batch_that_does_not_exist_is_refused(host: Double, runner: Runner, batch: str) -> None:
    """It is not a period of the contract, or not over yet: nobody has its labels."""
    with pytest.raises(PerenneError, match=rf"^review\.json: gate\.holdout\.batches: .*{batch}"):
        recorded(host, runner, "a", holdout={"batches": {"2025-12": SHA, batch: SHA}})
    assert notes.commit() is None


@pytest.mark.usefixtures("main")
def test_look_at_a_case_that_the_default_branch_lacks_is_not_recorded(host: Double, runner: Runner) -> None:
    """It has no policy there; a line says so."""
    assert recorded(host, runner, "a", case="rain").startswith("::warning::rain: not a case")
