"""The list of released models, as rows for programs and as a table for people."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from perenne.common.task import TASKS
from perenne.registry.models import MAIN, models, table
from perenne.registry.rollback import rollback
from tests.project import Project
from tests.registry.conftest import LONG_AGO, Release

NOW = datetime.fromtimestamp(LONG_AGO, UTC) + timedelta(days=3, hours=4)
PROOF = {
    "schema": 1,
    "model": {"sha256": "ab" * 32, "size": 1234},
    "lock": {"dvc.lock": "cd" * 32, "requirements.txt": "ef" * 32},
    "as_of": "2019Q4",
    "batches": {"train": {"from": "2014Q1", "to": "2018Q4", "batches": 20, "rows": 190_000}},
    "champion": "v1.0.0",
    "change": {"kind": "minor", "reasons": ["train.learning_rate"]},
    "intent": "better",
    "verdict": {"answer": "eligible", "rules": []},
    "metrics": {
        "log_loss": {"value": 0.234265, "low": 0.22, "high": 0.25, "dummy": 0.3},
        "brier": {"value": 0.0718652, "low": 0.07, "high": 0.08},
    },
}


@pytest.fixture
def released(release: Release) -> list[str]:
    """Release a version without proof and then one with; return their commits."""
    return [release("v1.0.0"), release("v1.1.0", proof=yaml.safe_dump(PROOF))]


def test_rows_hold_what_the_proof_says(here: Project, released: list[str]) -> None:
    """The newest first; where a tag has no proof there are nulls. Programs read it as JSON."""
    new, old = json.loads(here.out("perenne models --json --case retirement"))
    assert new == {
        "version": "v1.1.0",
        "stages": ["prod"],
        "commit": released[1],
        "released": "2020-09-13T12:27:39+00:00",
        "who": "Ada <ada@example.org>",
        "signed": False,
        "as_of": "2019Q4",
        "metrics": {
            "log_loss": {"value": 0.234265, "low": 0.22, "high": 0.25},
            "brier": {"value": 0.0718652, "low": 0.07, "high": 0.08},
        },
        "sha256": "ab" * 32,
        "champion": "v1.0.0",
        "intent": "better",
        "verdict": "eligible",
        "change": "minor",
    }
    assert (old["version"], old["stages"], old["commit"]) == ("v1.0.0", [], released[0])
    unknown = ("as_of", "metrics", "sha256", "champion", "intent", "verdict", "change")
    assert [old[key] for key in unknown] == [None] * 7


def test_table_is_aligned_text(released: list[str]) -> None:
    """One line a version: where it is, how good, how old, by whom."""
    assert released
    assert table(models("retirement"), NOW) == "\n".join(
        (
            "version  stage  as_of   log_loss               released    age     by",
            "v1.1.0   prod   2019Q4  0.2343 (0.22 to 0.25)  2020-09-13  3 days  Ada",
            "v1.0.0   -      -       -                      2020-09-13  3 days  Ada",
        )
    )


def test_table_shows_the_stages_as_they_are(released: list[str]) -> None:
    """After a rollback an older version is in the stage; the newest is still listed first."""
    assert released
    rollback("retirement", to=None, reason="x", push=False)
    lines = table(models("retirement"), NOW).splitlines()
    assert [line.split()[:2] for line in lines] == [["version", "stage"], ["v1.1.0", "-"], ["v1.0.0", "prod"]]


@pytest.mark.parametrize(
    ("proof", "shown"),
    [
        ("metrics: {roc_auc: {value: 0.8}}", "0.8 (- to -)"),
        ("metrics: {roc_auc: {value: .nan, low: 0.7, high: 0.9}}", "nan (0.7 to 0.9)"),
        ("metrics: {roc_auc: 0.8}", "- (- to -)"),
        ("metrics: none\nas_of: 2013-05", "2013-05"),
        ("model: lost", "v1.0.0"),
    ],
)
def test_proof_of_others_is_shown_as_far_as_it_goes(proof: str, shown: str, release: Release) -> None:
    """A missing value is a dash, not an error: the list must work when something is wrong."""
    release("v1.0.0", proof=proof)
    assert shown in table(models("retirement"), NOW)


def test_malformed_proof_leaves_the_other_versions(release: Release) -> None:
    """One pushed tag does not stop the list: its own row has no metrics."""
    release("v1.0.0", proof=yaml.safe_dump(PROOF))
    release("v1.1.0", proof="a: [")
    assert [(row.version, row.as_of) for row in models("retirement")] == [
        ("v1.1.0", None),
        ("v1.0.0", "2019Q4"),
    ]


def test_nothing_released_is_said(here: Project) -> None:
    """Not an empty table."""
    assert here
    assert table(models("retirement"), NOW) == "no version is released"


def test_deregistered_versions_are_not_listed(here: Project, released: list[str]) -> None:
    """The tags keep them."""
    assert released
    here.run("git tag -a -m x 'retirement@v1.1.0!'")
    assert [row.version for row in models("retirement")] == ["v1.0.0"]


def test_table_has_metrics_of_every_task() -> None:
    """The loss that people compare models by among them; and no metric that no task has."""
    assert {task.metrics[0] for task in TASKS.values()} <= set(MAIN)
    assert set(MAIN) <= {metric for task in TASKS.values() for metric in task.metrics}
