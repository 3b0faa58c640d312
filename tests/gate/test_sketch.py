"""The same labels are known again under other names, and other labels of the same rows are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from perenne.common import notes
from perenne.common.errors import PerenneError
from perenne.gate import ledger, sketch
from perenne.gate.ledger import ComparedModels
from tests import tiny
from tests.gate.test_ledger import OTHERS, repository, verdict_on
from tests.project import Project

__all__ = ["repository"]

BARE = tiny.contract("id: {type: integer, role: entity}", "id: {type: integer, role: ignored}")
QUARTER = tiny.contract("period: month", "period: quarter")
AMOUNT = tiny.contract(
    text=tiny.CONTRACT.replace("task: binary", "task: regression").replace(
        "won: {type: integer, role: target, values: [0, 1]}", "won: {type: number, role: target}"
    )
)
MONTHS = pd.date_range("2021-01-01", "2021-03-31 23:59", periods=3000).floor("s")


def visits(seed: int = 0, rate: float = 0.1, *, times: pd.DatetimeIndex = MONTHS) -> pd.DataFrame:
    """Return rows of the tiny case whose outcomes are drawn; the entities are always the same."""
    rng = np.random.default_rng([3, seed])
    return pd.DataFrame(
        {"id": np.arange(len(times)) % 900, "seen": times, "won": (rng.random(len(times)) < rate).astype(int)}
    )


def are_alike(one: pd.DataFrame, other: pd.DataFrame, *, same_case: bool = False) -> bool:
    """Return whether two holdouts have the same labels, with entities and without."""
    with_entity, without = (
        sketch.alike(*(sketch.sketch(rows, contract) for rows in (one, other)), same_case=same_case)
        for contract in (tiny.contract(), BARE)
    )
    assert with_entity == without
    return with_entity


def ended(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows as a company has them that writes the last day of a month."""
    return rows.assign(seen=rows["seen"] + pd.offsets.MonthEnd(0)).assign(
        seen=lambda r: r["seen"].dt.normalize()
    )


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.9])
def test_labels_are_known_again_whatever_the_case_is_called(rate: float) -> None:
    """Without some rows, a tenth of them even; with all times moved, by a day or by a second."""
    rows = visits(rate=rate)
    for changed in (
        rows.sample(frac=1, random_state=1),
        rows.drop(index=[7]),
        rows.drop(index=rows.index[::500]),
        rows.sample(frac=0.9, random_state=1),
        rows.assign(seen=rows["seen"] + pd.Timedelta(days=1)),
        rows.assign(seen=rows["seen"] + pd.Timedelta(seconds=1)).drop(index=[7]),
        rows.assign(won=rows["won"].where(rows.index != 5, 1 - rows["won"])),
    ):
        assert are_alike(rows, changed)


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5])
def test_another_target_of_the_same_rows_is_another_holdout(rate: float) -> None:
    """Most of its outcomes are the same: nothing happened. Both have all alpha, as have later rows."""
    rows = visits(rate=rate)
    later = visits(9, rate, times=MONTHS + pd.Timedelta(days=90))
    others = [later, *(visits(seed, rate) for seed in range(1, 30))]
    assert not any(are_alike(rows, other) for other in others)


def test_rows_of_a_few_days_need_their_entities() -> None:
    """With one time a month and no entity there are only counts, which one row less changes."""
    rows = ended(visits())
    one, other = (sketch.sketch(each, tiny.contract()) for each in (rows, rows.drop(index=rows.index[::500])))
    assert sketch.alike(one, other, same_case=False)
    assert sketch.alike(one, sketch.sketch(rows, QUARTER), same_case=False)
    counted = [sketch.sketch(ended(visits(seed)), BARE) for seed in range(20)]
    assert not any(sketch.alike(counted[0], each, same_case=False) for each in counted[1:])


def test_times_that_overlap_are_enough_within_a_case() -> None:
    """Whatever the period: a row of another period may be a row of this one."""
    rows = visits()
    early, late = rows[rows["seen"] < "2021-02-15"], rows[rows["seen"] >= "2021-02-15"]
    assert not are_alike(early, late, same_case=True)
    assert are_alike(rows[rows["seen"] < "2021-02-17"], visits(1)[1500:], same_case=True)


def test_numbers_are_known_again() -> None:
    """A regression has no common outcome."""
    rows = visits()
    amounts = [rows.assign(won=np.random.default_rng(seed).gamma(2.0, size=len(rows))) for seed in (1, 2)]
    one, other = (sketch.sketch(each, AMOUNT) for each in amounts)
    fewer = amounts[0].drop(index=[1, 2]).assign(seen=lambda r: r["seen"] + pd.Timedelta(hours=1))
    assert sketch.alike(one, sketch.sketch(fewer, AMOUNT), same_case=False)
    assert not sketch.alike(one, other, same_case=False)


@pytest.mark.parametrize("outcomes", [[0], [0, 0, 0], [1, 0, 1]])
def test_hardly_any_rows(outcomes: list[int]) -> None:
    """Any holdout has a sketch, which is like itself."""
    rows = visits(times=MONTHS[: len(outcomes)]).assign(won=outcomes)
    assert are_alike(rows, rows)


def look(challenger: str, rows: pd.DataFrame, case: str = "tiny", contract: str = "month") -> ledger.Look:
    """Look at rows as the gate does."""
    of = {"month": tiny.contract(), "quarter": QUARTER}[contract]
    content = OTHERS | {"challenger": {"sha256": challenger, "size": 1}, "case": case}
    return ledger.look(
        ledger.hashes(rows, of),
        ComparedModels.model_validate(content),
        0.05,
        sharing=False,
        labels=sketch.sketch(rows, of),
    )


@pytest.mark.usefixtures("repository")
def test_looks_at_the_same_labels_are_counted_under_any_name() -> None:
    """Another period, another name with a row less or many: each is one look more."""
    rows = visits()
    looks = [
        look("a", rows),
        look("b", rows, contract="quarter"),
        look("c", rows.drop(index=[3]), "renamed"),
        look("d", rows.sample(frac=0.9, random_state=1), "again"),
    ]
    assert [each.number for each in looks] == [1, 2, 3, 4]
    assert sum(each.alpha for each in looks) + looks[-1].left == pytest.approx(looks[0].total)
    assert look("c", rows.drop(index=[3]), "renamed")[:2] == looks[2][:2], "again, at no cost"
    assert look("f", visits(1), "another target").number == 1
    assert look("g", visits(2, times=MONTHS + pd.Timedelta(days=365))).number == 1


@pytest.mark.usefixtures("repository")
def test_looks_at_labels_whose_times_were_moved_are_counted() -> None:
    """Under the same name or another; by less than the holdout is long, or by more."""
    rows = visits()
    moved = [rows.assign(seen=rows["seen"] + pd.Timedelta(days=days)) for days in (0, 1, 90, 400)]
    assert [look(str(place), each).number for place, each in enumerate(moved)] == [1, 2, 3, 4]
    assert look("renamed", moved[3], "renamed").number == 5


def test_clones_that_renamed_the_labels_release_nothing_either(
    repository: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each had the first look under a name of its own; what they spent is counted once they have met."""
    rows = visits()
    repository.run("git clone -q ../origin.git ../b && git clone -q ../origin.git ../c")
    spent = [look("a", rows)]
    monkeypatch.chdir(repository.path.parent / "b")
    spent.append(look("b", rows.drop(index=[3]), "renamed"))
    monkeypatch.chdir(repository.path.parent / "c")
    spent.append(look("c", rows, contract="quarter"))
    assert [each.number for each in spent] == [1, 1, 1]
    verdict = verdict_on("c", spent[2], ledger.hashes(rows, QUARTER))
    held = verdict.holdout.model_copy(update={"sketch": sketch.sketch(rows, QUARTER)})
    verdict = verdict.model_copy(update={"holdout": held})
    ledger.affordable(verdict)
    for name in ("b", "ada", "c"):
        monkeypatch.chdir(repository.path.parent / name)
        notes.share()
    with pytest.raises(PerenneError, match=r"did not push them have spent 0\.075 of alpha 0\.05"):
        ledger.affordable(verdict)


@pytest.mark.usefixtures("repository")
def test_opened_labels_are_closed_under_any_name() -> None:
    """Whoever has seen them knows them."""
    rows = visits()
    content = OTHERS | {"challenger": {"sha256": "a", "size": 1}}
    compared, labels = ComparedModels.model_validate(content), sketch.sketch(rows, tiny.contract())
    batches = ledger.hashes(rows, tiny.contract())
    ledger.look(batches, compared, 0.05, sharing=False, labels=labels, opening=True)
    assert look("b", rows.drop(index=[3]), "renamed").alpha == 0


@pytest.mark.usefixtures("repository")
def test_a_look_at_many_hours_is_one_line() -> None:
    """The note that has all looks grows by one line of bounded length, whatever the holdout."""
    labels = sketch.sketch(visits(), tiny.contract("period: month", "period: hour"))
    for challenger in "ab":
        content = OTHERS | {"challenger": {"sha256": challenger, "size": 1}}
        compared = ComparedModels.model_validate(content)
        ledger.look({"2021-01-01 00:00": "aaaa"}, compared, 0.05, sharing=False, labels=labels)
    lines = notes.read(*ledger.EVERYWHERE)
    assert len(lines) == 2
    assert max(len(str(line)) for line in lines) < 2000
