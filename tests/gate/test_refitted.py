"""The model that a release puts to use must be like the one that was proven."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from perenne.common import batches, names
from perenne.common.task import REGRESSION
from perenne.gate import refitted
from perenne.gate.evidence import Contender
from perenne.gate.gate import gate
from perenne.registry import tags
from tests.conftest import Enter
from tests.gate.test_rules import GOOD, NOISY, TRUTH, Y, evidence
from tests.project import Project

CLOSER = Contender("it has learned from these rows", np.clip(TRUTH + 0.1 * (Y - TRUTH), 0.01, 0.99))
OFF = Contender("right in rank, wrong in the large", np.clip(TRUTH * 0.8, 0.01, 0.99))


def test_model_that_has_learned_from_the_rows_is_like_the_proven_one() -> None:
    """It is better there, and nearer to being right."""
    assert refitted.unlike(evidence(GOOD), CLOSER) == ""
    assert refitted.unlike(evidence(NOISY), GOOD) == ""


def test_model_that_is_worse_on_rows_that_it_has_seen_is_another_one() -> None:
    """By more than the tolerance, which is .001 of the dummy's loss here."""
    said = refitted.unlike(evidence(GOOD), NOISY)
    assert said.endswith("its log_loss is worse by more than the tolerance")


def test_model_that_is_not_right_in_the_large_is_another_one() -> None:
    """Even where the loss may rise; not if the proven one is as far off."""
    lenient = evidence(GOOD).tolerance.model_copy(update={"loss": 0.9})
    assert "observed / expected is farther off" in refitted.unlike(evidence(GOOD, tolerance=lenient), OFF)
    assert refitted.unlike(evidence(OFF, tolerance=lenient), OFF) == ""


def test_regression_is_compared_in_its_own_units() -> None:
    """A bias of a tenth of a standard deviation, where a twentieth is allowed."""
    rng = np.random.default_rng(3)
    y = rng.normal(50, 10, len(Y))
    proven = Contender("proven", y + rng.normal(0, 5, len(y)))
    usual = {"task": REGRESSION, "y": y, "metric": "mae", "mean": 50.0}
    tolerance = evidence().tolerance.model_copy(update={"calibration": 0.05, "loss": 0.9})
    seen = evidence(proven, **usual, tolerance=tolerance)
    near, far = (Contender("", proven.scores + shift) for shift in (0.2, 1.0))
    assert refitted.unlike(seen, near) == ""
    assert "is farther off than the tolerance" in refitted.unlike(seen, far)


@pytest.fixture
def inside(company: Project, enter: Enter) -> Project:
    """Return a company whose champion was refitted, as the current folder."""
    enter(company)
    return company


def test_champion_is_the_model_in_use_unless_that_has_seen_the_holdout(inside: Project) -> None:
    """It has learned from labels known by the end of 2019."""
    champion = tags.read("retirement").in_stage("prod")
    assert champion is not None
    assert champion.proven != champion.released
    rows = batches.read_parquet(names.HOLDOUT)
    quarters = {str(q) for q in rows["date"].dt.to_period("Q")}
    assert "2019Q3" in quarters
    assert refitted.of_champion(champion, "retirement", rows) == champion.proven
    later = rows.assign(date=rows["date"] + pd.DateOffset(years=1))
    assert refitted.of_champion(champion, "retirement", later) == champion.released
    assert inside.path.exists()


BROKEN = """
from perenne.common.errors import run
from perenne.pipeline import refit, train

as_it_is = train.made


def made(rows, *others):
    return as_it_is(rows.assign(retires=1 - rows["retires"]), *others)


train.made = made
run(refit.main)
"""


def test_refit_that_went_wrong_is_not_eligible(inside: Project) -> None:
    """The proven model passes all rules as before; the refitted one has learned the opposite."""
    inside.edit(r"max_iter: \d+", "max_iter: 60")
    inside.repro()
    good = gate()
    assert good.answer == "eligible", good.why
    assert good.released is not None
    inside.write("stages/refit.py", BROKEN)
    inside.repro()
    bad = gate()
    assert bad.challenger == good.challenger
    assert bad.answer == "rejected"
    assert bad.why.startswith("not all rules pass; were its scores right")
    assert [one.alpha.look for one in (good, bad) if one.alpha] == [2, 3], "another refit is another look"
    opened = gate(opening=True)
    assert opened.why.startswith("the refitted model is not like the proven one")
    assert "0." not in opened.why


def test_refit_that_went_wrong_cannot_be_told_from_a_rule_that_does_not_pass(
    inside: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its verdict is the same to the last digit as that of a model which every label contradicts."""
    inside.edit(r"max_iter: \d+", "max_iter: 60")
    inside.repro()
    before = inside.out("git rev-parse refs/notes/perenne").strip()
    read = batches.read_parquet

    def turned(path: Path) -> pd.DataFrame:
        rows = read(path)
        return rows.assign(retires=1 - rows["retires"]) if path == names.HOLDOUT else rows

    hidden = []
    for wrong in ("it is another one", ""):
        monkeypatch.setattr(refitted, "unlike", lambda *_, wrong=wrong: wrong)
        content = gate(offline=True).to_json()
        del content["holdout"]["batches"], content["holdout"]["sketch"]
        content["rules"] = [rule for rule in content["rules"] if rule["rule"] != "latency"]  # it is timed
        hidden.append(content)
        inside.run("git update-ref -d refs/perenne/notes")  # the clone forgets: the same number of looks
        inside.run(f"git update-ref refs/notes/perenne {before}")
        monkeypatch.setattr(batches, "read_parquet", turned)
    assert hidden[0] == hidden[1]


def test_same_model_with_another_refit_is_not_unchanged(inside: Project) -> None:
    """What would be put to use is another file, so it is judged."""
    assert gate().answer == "unchanged"
    inside.edit("refit: true", "refit: false")
    inside.repro()
    assert gate().answer != "unchanged"
