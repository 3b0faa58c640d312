"""Nothing of what is measured on can reach what is learned from, and nothing that may be learned is lost."""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.common import batches, names, params, periods, typed
from perenne.common.contract import Contract
from perenne.common.cut import Cut
from perenne.common.errors import PerenneError
from perenne.pipeline import split as stage
from perenne.pipeline.split import gather, learned, split

CONTRACT = typed.parse(
    Contract,
    {
        "row": "one visit",
        "task": "binary",
        "period": "month",
        "label_delay": 1,
        "columns": {
            "time": {"type": "datetime", "role": "time"},
            "size": {"type": "number", "role": "feature"},
            "known": {"type": "datetime", "role": "ignored"},
            "y": {"type": "integer", "role": "target", "values": [0, 1], "missing": True},
        },
    },
    "contract.yaml",
)


class Row(NamedTuple):
    """A row as the world makes it: when it happened, and when its label could be known."""

    time: pd.Timestamp
    label: pd.Timestamp


class World(NamedTuple):
    """A history with gaps, params that fit it, and every row with the moments that it is made of.

    The moments are read off a calendar that runs on past the history: no arithmetic on periods, which is
    what the stage does.
    """

    rows: dict[pd.Period, list[Row]]
    cut: Cut
    window_begins: pd.Timestamp
    holdout_begins: pd.Timestamp
    as_of_ends: pd.Timestamp

    def rows_of(self, chosen: list[pd.Period]) -> list[Row]:
        """All rows of some batches."""
        return [row for period in chosen for row in self.rows[period]]

    def all_rows(self) -> Iterator[Row]:
        """All rows there are."""
        return (row for rows in self.rows.values() for row in rows)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Any unit of period, any params, any gaps, rows at the first and last instant of their period."""
    unit = draw(st.sampled_from(list(periods.FREQUENCY)))
    start = draw(st.datetimes(pd.Timestamp("1990-01-01"), pd.Timestamp("2030-01-01")))
    label_delay = draw(st.integers(0, 3))
    window, holdout = draw(st.integers(label_delay + 1, 8)), draw(st.integers(label_delay + 1, 5))
    before, after = draw(st.integers(0, 4)), draw(st.integers(0, 4))
    size = before + window + holdout + after
    calendar = pd.period_range(start, periods=size + label_delay + 1, freq=periods.FREQUENCY[unit])
    absent = draw(st.sets(st.integers(1, max(1, size - 2)))) if size > 2 else set()
    rows = {
        calendar[i]: [
            Row(time, calendar[i + label_delay].end_time)
            for time in (calendar[i].start_time, calendar[i].end_time)
        ]
        for i in range(size)
        if i not in absent
    }
    as_of = before + window + holdout - 1
    return World(
        rows=dict(draw(st.permutations(list(rows.items())))),
        cut=Cut(calendar[as_of], window, holdout, label_delay),
        window_begins=calendar[before].start_time,
        holdout_begins=calendar[before + window].start_time,
        as_of_ends=calendar[as_of].end_time,
    )


@given(world=worlds())
def test_nothing_known_after_the_holdout_begins_is_learned(world: World) -> None:
    """Neither a row from then nor a label that came then is among the training rows."""
    learned = world.rows_of(split(world.rows, world.cut)["train"])
    assert not [row for row in learned if max(row.time, row.label) >= world.holdout_begins]


@given(world=worlds())
def test_nothing_known_after_as_of_is_measured_on(world: World) -> None:
    """The holdout holds no row and no label that came after the last period the model may know."""
    measured = world.rows_of(split(world.rows, world.cut)["holdout"])
    assert not [row for row in measured if max(row.time, row.label) > world.as_of_ends]


@given(world=worlds())
def test_all_that_may_be_learned_is_learned(world: World) -> None:
    """The training rows are exactly those of the window whose label came before the holdout began."""
    learned = world.rows_of(split(world.rows, world.cut)["train"])
    may = {r for r in world.all_rows() if world.window_begins <= r.time and r.label < world.holdout_begins}
    assert set(learned) == may


@given(world=worlds())
def test_all_that_can_be_measured_on_is_measured_on(world: World) -> None:
    """The holdout's rows are exactly those since it began whose label came by the end of as_of."""
    measured = world.rows_of(split(world.rows, world.cut)["holdout"])
    can = {r for r in world.all_rows() if world.holdout_begins <= r.time and r.label <= world.as_of_ends}
    assert set(measured) == can


@given(world=worlds())
def test_a_refit_learns_all_that_is_known_by_as_of_and_nothing_later(world: World) -> None:
    """From where the window begins; the labels of the others have not come."""
    rows = world.rows_of(learned(world.rows, world.cut.refitted()))
    may = {r for r in world.all_rows() if world.window_begins <= r.time and r.label <= world.as_of_ends}
    assert set(rows) == may


@given(world=worlds())
def test_parts_are_disjoint_and_in_order(world: World) -> None:
    """No batch is in both parts; each part runs from its oldest batch to its newest."""
    parts = split(world.rows, world.cut)
    both = parts["train"] + parts["holdout"]
    assert both == sorted(set(both))


@given(world=worlds(), later=st.integers(1, 30))
def test_batches_after_as_of_change_nothing(world: World, later: int) -> None:
    """New data alone never retrain: only as_of moves the parts."""
    newest = max(world.rows)
    assert split([*world.rows, newest + later], world.cut) == split(world.rows, world.cut)


def history(first: str, last: str) -> list[pd.Period]:
    """All months from the first to the last."""
    return list(pd.period_range(first, last, freq="M"))


@pytest.mark.parametrize(
    ("as_of", "window", "holdout", "delay", "message"),
    [
        (
            "2021-01",
            3,
            1,
            0,
            "split.as_of: '2021-01' is outside the history; the batches go from 2020-01 to 2020-12",
        ),
        (
            "2019-12",
            3,
            1,
            0,
            "split.as_of: '2019-12' is outside the history; the batches go from 2020-01 to 2020-12",
        ),
        (
            "2020-12",
            11,
            2,
            0,
            "split.window: 11 periods begin in 2019-12; the batches go from 2020-01 to 2020-12; "
            "at most 10 would do",
        ),
        (
            "2020-03",
            1,
            3,
            0,
            "split.window: 1 periods begin in 2019-12; the batches go from 2020-01 to 2020-12; "
            "split.holdout (3) leaves nothing before it",
        ),
        (
            "2020-12",
            5,
            2,
            2,
            "split.holdout: 2 leaves no matured label (labels come 2 period(s) late); at least 3 would do",
        ),
        (
            "2020-12",
            1,
            2,
            1,
            "split.window: 1 leaves no matured label (labels come 1 period(s) late); at least 2 would do",
        ),
    ],
)
def test_params_that_do_not_fit_the_history(
    as_of: str, window: int, holdout: int, delay: int, message: str
) -> None:
    """The error names the key, the value, the history and what would do."""
    with pytest.raises(PerenneError) as error:
        split(history("2020-01", "2020-12"), Cut(pd.Period(as_of, "M"), window, holdout, delay))
    assert str(error.value) == f"params.yaml: {message}"


@pytest.mark.parametrize("excess", [0, 1])
def test_what_the_error_says_would_do_does(excess: int) -> None:
    """The longest window that the error offers is accepted, one more is not."""
    cut = Cut(pd.Period("2020-12", "M"), 10 + excess, 2, 0)
    if excess:
        with pytest.raises(PerenneError, match="at most 10 would do"):
            split(history("2020-01", "2020-12"), cut)
    else:
        assert split(history("2020-01", "2020-12"), cut)["train"] == history("2020-01", "2020-10")


def write(folder: Path, labels: dict[str, list[int | None]]) -> dict[pd.Period, Path]:
    """One batch a month with these labels; each row notes when its label was known: a month later."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for month, y in labels.items():
        period = pd.Period(month, "M")
        frame = pd.DataFrame(
            {
                "time": period.start_time,
                "size": [float(i) for i in range(len(y))],
                "known": (period + 1).end_time.floor("s"),
                "y": y,
            }
        )
        files[period] = folder / f"{month}.parquet"
        batches.write_parquet(files[period], batches.to_table(frame, batches.schema(CONTRACT)))
    return files


def test_each_batch_is_a_row_group(tmp_path: Path) -> None:
    """So that later readers can stream a part as they stream the batches."""
    files = write(tmp_path / "clean", {"2020-01": [0, 1], "2020-02": [1], "2020-03": [0, 0, 1]})
    gather(files, tmp_path / "train.parquet", CONTRACT)
    written = pq.ParquetFile(tmp_path / "train.parquet")
    assert [written.metadata.row_group(i).num_rows for i in range(written.num_row_groups)] == [2, 1, 3]


def test_rows_without_a_label_are_left_out_and_counted(tmp_path: Path) -> None:
    """A matured label may never have come; what is left keeps its order, and the labels are integers."""
    files = write(tmp_path / "clean", {"2020-01": [0, None, 1], "2020-02": [None, 1]})
    report = gather(files, tmp_path / "train.parquet", CONTRACT)
    written = batches.read_parquet(tmp_path / "train.parquet")
    assert written["y"].tolist() == [0, 1, 1]
    assert written["y"].dtype == "int64"
    assert written["size"].tolist() == [0.0, 2.0, 1.0]
    assert report.model_dump(by_alias=True) == {
        "from": "2020-01",
        "to": "2020-02",
        "batches": 2,
        "rows": 3,
        "unlabelled": 2,
    }


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ({}, "no batch in its periods"),
        ({"2020-01": [None, None], "2020-02": [None]}, "of 3 rows none has a label"),
    ],
)
def test_an_empty_part_is_an_error(tmp_path: Path, labels: dict[str, list[int | None]], found: str) -> None:
    """It says which part would be empty and why, and leaves nothing behind."""
    files = write(tmp_path / "clean", labels)
    out = tmp_path / "split" / "holdout.parquet"
    with pytest.raises(PerenneError) as error:
        gather(files, out, CONTRACT)
    assert str(error.value) == (f"{out}: would be empty: {found}; move split.as_of or widen the holdout")
    assert list(out.parent.iterdir()) == []


def test_gathering_holds_few_batches_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one batch is read at most the one before is still in memory, however many there are."""
    files = write(tmp_path / "clean", {str(month): [0, 1] for month in history("2020-01", "2020-12")})
    alive: list[weakref.ref[pa.Table]] = []
    most = 0
    read = batches.read_table

    def counted(path: Path) -> pa.Table:
        nonlocal most
        table = read(path)
        alive.append(weakref.ref(table))
        gc.collect()
        most = max(most, sum(ref() is not None for ref in alive))
        return table

    monkeypatch.setattr(batches, "read_table", counted)
    gather(files, tmp_path / "train.parquet", CONTRACT)
    assert len(alive) == 12
    assert most <= 2


def test_files_hold_no_poison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the stage writes, read back, holds no label known after its own part ends, and says so."""
    monkeypatch.chdir(tmp_path)
    write(Path("data/clean"), {str(month): [0, 1, None] for month in history("2020-01", "2020-12")})
    section = params.Split(as_of="2020-10", window=5, holdout=3, refit=True)
    monkeypatch.setattr(params, "load", lambda stage: SimpleNamespace(case="visits", **{stage: section}))
    monkeypatch.setattr(stage, "read_contract", lambda _: CONTRACT)

    stage.main()

    learned, measured = batches.read_parquet(names.TRAIN), batches.read_parquet(names.HOLDOUT)
    refit = batches.read_parquet(names.REFIT)
    assert refit["time"].min() == pd.Timestamp("2020-03-01")
    assert refit["known"].max() == pd.Timestamp("2020-10-31 23:59:59")
    assert learned["time"].min() == pd.Timestamp("2020-03-01")
    assert learned["known"].max() == pd.Timestamp("2020-07-31 23:59:59")
    assert measured["time"].min() == pd.Timestamp("2020-08-01")
    assert measured["known"].max() == pd.Timestamp("2020-10-31 23:59:59")
    assert len(learned) == 4 * 2
    assert len(measured) == 2 * 2
    report = names.SPLIT.read_text(encoding="utf-8")
    assert '"from": "2020-03"' in report
    assert '"unlabelled": 4' in report
