"""Validate: every bad row goes to quarantine with the rules it broke, every good one goes on unchanged."""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perenne.common import batches, names
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.pipeline import ingest
from perenne.pipeline import validate as stage
from perenne.pipeline.validate import Checked, validate
from tests import tiny
from tests.tiny import table

JANUARY = pd.Period("2021-01", "M")
GOOD = tiny.frame(table("2021-01", rows=6))


def check(frame: pd.DataFrame, contract: Contract | None = None, *, matured: bool = True) -> Checked:
    """Return January checked."""
    return validate(frame, JANUARY, contract or tiny.contract(), matured=matured)


def broken(checked: Checked) -> set[tuple[int, str, str]]:
    """Return which rules were broken where."""
    return set(checked.broken[["row", "column", "rule"]].itertuples(index=False, name=None))


def test_good_rows_are_kept() -> None:
    """All of them, in their order, in the contract's types."""
    checked = check(GOOD)
    assert checked.counts().model_dump() == {"rows": 6, "kept": 6, "quarantined": 0, "rules": {}}
    assert checked.kept["id"].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("size", "big", "type"),
        ("size", "1,5", "type"),
        ("size", "inf", "type"),
        ("id", "1.5", "type"),
        ("adult", "maybe", "type"),
        ("member", "31/12/2020", "type"),
        ("size", "100.001", "range"),
        ("size", "-1", "range"),
        ("colour", "green", "category"),
        ("colour", "Red", "category"),
        ("won", "2", "category"),
        ("colour", None, "missing"),
        ("id", None, "missing"),
        ("won", None, "missing"),
        ("seen", "2021-02-01", "outside its period"),
        ("seen", "2020-12-31T23:59:59.999", "outside its period"),
        ("member", "2021-02-01", "in the future"),
    ],
)
def test_one_bad_cell_is_one_row_in_quarantine(column: str, value: str | None, rule: str) -> None:
    """Exactly that row, with that rule, counted once, and as it came."""
    frame = GOOD.copy()
    frame.loc[3, column] = value
    checked = check(frame)
    assert broken(checked) == {(3, column, rule)}
    assert checked.counts().model_dump() == {
        "rows": 6,
        "kept": 5,
        "quarantined": 1,
        "rules": {f"{column}: {rule}": 1},
    }
    assert checked.quarantined["broken_rules"].tolist() == [f"{column}: {rule}"]
    assert checked.quarantined[column].tolist() == [value] or value is None
    assert checked.kept["id"].tolist() == [0, 1, 2, 4, 5]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("size", "0"),
        ("size", "100"),
        ("size", None),
        ("seen", "2021-01-01"),
        ("seen", "2021-01-31T23:59:59.999999"),
        ("member", "2021-01-31T23:59:59"),
        ("adult", "0"),
    ],
)
def test_edges_are_allowed(column: str, value: str | None) -> None:
    """Ranges and periods include their ends; what may be missing may be missing."""
    frame = GOOD.copy()
    frame.loc[3, column] = value
    assert check(frame).counts().quarantined == 0


def test_row_may_break_several_rules() -> None:
    """It is one row in quarantine, and counted under each."""
    frame = GOOD.copy()
    frame.loc[2, ["size", "colour"]] = ["999", "green"]
    checked = check(frame)
    assert checked.quarantined["broken_rules"].tolist() == ["size: range; colour: category"]
    assert checked.counts().rules == {"colour: category": 1, "size: range": 1}


def test_repeats_of_entity_and_time() -> None:
    """The first of them stays, unless it is itself bad; another time is no repeat."""
    again = pd.concat([GOOD, GOOD.iloc[[1, 1, 2]]], ignore_index=True)
    again.loc[2, "colour"] = "green"
    again.loc[9] = GOOD.loc[3].replace("2021-01-04", "2021-01-05")
    assert broken(check(again)) == {
        (2, "colour", "category"),
        (6, "id+seen", "duplicate"),
        (7, "id+seen", "duplicate"),
    }


@pytest.mark.parametrize(("column", "value"), [("size", "99"), ("size", "0"), ("size", None), ("won", "1")])
def test_rows_that_contradict_each_other_are_all_set_aside(column: str, value: str | None) -> None:
    """None is chosen by its value. A label that was missing contradicts none: the row with it counts."""
    again = pd.concat([GOOD, GOOD.iloc[[0, 1, 1]]], ignore_index=True)
    again.loc[6, column] = value
    again.loc[1, "won"] = None
    assert broken(check(again, matured=False)) == {
        (0, "id+seen", "contradiction"),
        (6, "id+seen", "contradiction"),
        (1, "id+seen", "duplicate"),
        (8, "id+seen", "duplicate"),
    }


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
@pytest.mark.parametrize(("size", "won"), [("99", "0"), ("0", "1"), (None, "1"), ("0.5", None)])
def test_the_latest_version_counts_whatever_its_values(
    order: list[int], size: str | None, won: str | None
) -> None:
    """A larger or a smaller value, a label that is 1 or gone; those before it do not stop the pipeline."""
    rows = tiny.contract("columns:", "columns:\n  number: {type: integer, role: version, missing: true}")
    old = [GOOD.iloc[[0]].assign(number=number) for number in (None, "2", "9")]
    new = GOOD.iloc[[0]].assign(number="10", size=size, won=won)
    checked = check(pd.concat([*old, new]).iloc[order], rows, matured=False)
    assert checked.counts().rules == {"id+seen: outdated": 3}
    assert checked.kept["number"].tolist() == [10]
    assert checked.kept["size"].tolist() == [float(size)] if size else checked.kept["size"].isna().all()
    assert stage.too_many(checked, Path("a"), 0.0) is None


def test_a_bad_version_does_not_bring_the_one_before_it_back() -> None:
    """What was corrected is known to be wrong, so no row is left."""
    rows = tiny.contract("columns:", "columns:\n  at: {type: datetime, role: version}")
    versions = GOOD.iloc[[0, 0]].assign(at=["2021-02-01", "2021-03-01"], size=["5", "999"])
    checked = check(versions, rows)
    assert broken(checked) == {(0, "id+seen", "outdated"), (1, "size", "range")}


def test_without_an_entity_nothing_is_a_duplicate() -> None:
    """Two rows at the same time are two rows."""
    again = pd.concat([GOOD, GOOD], ignore_index=True)
    assert check(again, tiny.contract("role: entity", "role: ignored")).counts().kept == 12


def test_missing_label_is_a_fault_only_once_matured() -> None:
    """Before that nobody can know it; after, only where the contract says so."""
    frame = GOOD.assign(won=None)
    assert check(frame, matured=False).counts().kept == 6
    assert check(frame, matured=True).counts().rules == {"won: missing": 6}
    may_be_missing = tiny.contract("role: target", "role: target, missing: true")
    assert check(frame, may_be_missing, matured=True).counts().kept == 6


def test_column_all_missing() -> None:
    """Allowed, it has the contract's type; not allowed, every row is bad and nothing is left."""
    assert check(GOOD.assign(size=None)).kept["size"].dtype == "float64"
    nothing = check(GOOD.assign(colour=None))
    assert nothing.counts().kept == 0
    assert batches.to_table(nothing.kept, batches.schema(tiny.contract())).num_rows == 0


def test_empty_batch() -> None:
    """No row in, no row out, no share of nothing."""
    checked = check(GOOD[:0])
    assert checked.counts().model_dump() == {"rows": 0, "kept": 0, "quarantined": 0, "rules": {}}
    assert stage.too_many(checked, Path("2021-01.parquet"), 0.0) is None


def test_numbers_may_be_categories() -> None:
    """A contract may list them as it likes; they are compared as text."""
    rows = tiny.contract("[red, blue]", "[1, '2.0 ']")
    assert check(GOOD.assign(colour=[1, 2, 1, 2, 1, 3]), rows).counts().rules == {"colour: category": 1}
    assert check(GOOD.assign(colour=["1.0", "2", " 1", "2.00", "1", "2"]), rows).counts().kept == 6


# A cell is a value and the rule that it breaks, if any.
CELLS: dict[str, list[tuple[Any, str | None]]] = {
    "id": [("1", None), (2, None), ("3.0", None), (1.5, "type"), ("x", "type"), (None, "missing")],
    "seen": [("2021-01-01", None), ("2021-01-31 23:59", None), ("2020-12-31T23:00", "outside its period"),
             ("2021-02-01", "outside its period"), ("soon", "type"), (None, "missing")],
    "size": [(5, None), ("5.5", None), (None, None), (-1, "range"), ("a", "type"), ("inf", "type")],
    "colour": [("red", None), ("blue", None), ("RED", "category"), (7, "category"), (None, "missing")],
    "adult": [(True, None), ("false", None), ("1", None), ("?", "type"), (None, "missing")],
    "member": [("2020-01-01", None), (None, None), ("2021-02-01", "in the future"), ("?", "type")],
    "won": [(0, None), ("1", None), (2, "category"), ("x", "type")],
}  # fmt: skip
LINE = st.fixed_dictionaries({name: st.sampled_from(cells) for name, cells in CELLS.items()})


@settings(max_examples=25, deadline=None)
@given(lines=st.lists(LINE, max_size=12))
def test_dirty_rows_are_all_accounted_for(lines: list[dict[str, tuple[Any, str | None]]]) -> None:
    """In = kept + quarantined; each cell's rule is found where it was broken and nowhere else."""
    frame = pd.DataFrame(
        [{n: v for n, (v, _) in line.items()} for line in lines], columns=list(CELLS), dtype=object
    )
    expected, seen = set(), set()
    for number, line in enumerate(lines):
        rules = {(number, name, rule) for name, (_, rule) in line.items() if rule}
        key = (float(line["id"][0]), line["seen"][0]) if not rules else None
        if key in seen:
            rules = {(number, "id+seen", "duplicate")}
        elif key:
            seen.add(key)
        expected |= rules
    checked = check(frame)
    counts = checked.counts()
    bad = {number for number, _, _ in expected}
    assert broken(checked) == expected
    assert counts.rows == len(lines) == counts.kept + counts.quarantined
    assert sorted(checked.kept.index) == [n for n in range(len(lines)) if n not in bad]
    assert sorted(checked.quarantined.index) == sorted(bad)
    assert counts.rules == Counter(f"{column}: {rule}" for _, column, rule in expected)
    batches.to_table(checked.quarantined)
    batches.to_table(checked.kept, batches.schema(tiny.contract()))


def test_too_many_names_the_worst_rules() -> None:
    """The line has the file, the count, the limit, the worst rules, and the first bad value."""
    frame = GOOD.copy()
    frame.loc[[0, 1, 2], "colour"] = "green"
    frame.loc[1, "size"] = "999"
    line = stage.too_many(check(frame), Path("data/raw/2021-01.parquet"), 0.1)
    assert line == (
        "data/raw/2021-01.parquet: 3 of 6 rows (50.0%) break the contract, at most 10.0% may "
        "(validate.max_quarantined_share). Worst: colour: category (3), size: range (1). "
        "First: row 1, size, range, found '999.0', must be 0 to 100"
    )
    assert stage.too_many(check(frame), Path("a"), 0.5) is None


@pytest.mark.parametrize(
    ("column", "value", "instead"),
    [
        ("adult", "maybe", "true or false, yes or no, 1 or 0"),
        ("size", "big", "a number such as 1.5"),
        ("id", "1.5", "a whole number"),
        ("member", "31/12/2020", "a date such as 2021-09-30"),
        ("size", "-1", "0 to 100"),
        ("colour", "green", "red, blue"),
    ],
)
def test_too_many_says_what_would_be_accepted(column: str, value: str, instead: str) -> None:
    """The first bad value stands beside what it must be."""
    frame = GOOD.copy()
    frame.loc[2, column] = value
    line = stage.too_many(check(frame), Path("a"), 0.0)
    assert line is not None
    assert line.endswith(f", must be {instead}")


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return `data/raw/` of a tiny project with two months, the second with one row in twenty bad."""
    monkeypatch.chdir(tmp_path)
    Path("data/cases/tiny").mkdir(parents=True)
    Path("data/cases/tiny/contract.yaml").write_text(tiny.CONTRACT, encoding="utf-8")
    Path("params.yaml").write_text(tiny.PARAMS, encoding="utf-8")
    Path("dvc.yaml").write_text("stages: {validate: {params: [case, validate]}}", encoding="utf-8")
    for month, old, new in (("2021-01", "", ""), ("2021-02", ",6.5,red,", ",6.5,green,")):
        rows = tiny.frame(table(month).replace(old, new, 1))
        batches.write_parquet(tmp_path / f"data/raw/{month}.parquet", ingest.table(rows, tiny.contract()))
    return tmp_path / "data/raw"


def test_stage_writes_clean_quarantine_and_counts(raw: Path) -> None:
    """A clean batch keeps its bytes, a bad row is in quarantine, and the counts add up by batch and rule."""
    stage.main()
    clean, quarantine = Path("data/clean"), Path("data/quarantine")
    assert (clean / "2021-01.parquet").read_bytes() == (raw / "2021-01.parquet").read_bytes()
    assert [pq.read_table(quarantine / f"{m}.parquet").num_rows for m in ("2021-01", "2021-02")] == [0, 1]
    assert pq.read_table(clean / "2021-02.parquet").num_rows == 19
    assert '"colour: category": 1' in names.VALIDATION.read_text(encoding="utf-8")
    assert '"rows": 40' in names.VALIDATION.read_text(encoding="utf-8")


def test_a_hundred_and_fifty_columns_are_no_reason_to_warn() -> None:
    """Pandas would warn, to the user's face, that a column is added to a frame of so many: an error here."""
    wide = pa.schema([pa.field(f"x{i}", pa.float64()) for i in range(150)])
    quarantine = pq.read_table(BytesIO(stage._empty(wide, frozenset())))
    assert quarantine.column_names == [*wide.names, names.BROKEN_RULES]


def test_large_identifiers_stay_exact_beside_a_missing_one(raw: Path) -> None:
    """From disk to disk: what no float can hold is not rounded to its neighbour."""
    Path("params.yaml").write_text(tiny.PARAMS.replace("share: 0.1", "share: 0.5"), encoding="utf-8")
    rows = GOOD.copy()
    rows.loc[[0, 1], "id"] = [str(2**53 + 1), ""]
    rows = rows.replace("", None)
    batches.write_parquet(raw / "2021-01.parquet", ingest.table(rows, tiny.contract()))
    stage.main()
    assert 2**53 + 1 in pq.read_table("data/clean/2021-01.parquet")["id"].to_pylist()


def test_stage_fails_before_it_writes_anything(raw: Path) -> None:
    """The last batch is bad: the outputs of the run before stay as they were."""
    stage.main()
    before = {path: path.read_bytes() for path in Path("data").rglob("*.*") if path.is_file()}
    rows = tiny.frame(table("2021-03").replace(",red,", ",green,"))
    batches.write_parquet(raw / "2021-03.parquet", ingest.table(rows, tiny.contract()))
    with pytest.raises(PerenneError, match=r"data/raw/2021-03\.parquet: .* Worst: colour: category \("):
        stage.main()
    after = {path: path.read_bytes() for path in Path("data").rglob("*.*") if path.is_file()}
    after.pop(Path("data/raw/2021-03.parquet"))
    assert after == before


def test_batch_without_a_column_of_the_contract(raw: Path) -> None:
    """A contract that moved on without `ingest` is said, not shown as a traceback."""
    batches.write_parquet(raw / "2021-01.parquet", pa.table({"id": [1]}))
    with pytest.raises(PerenneError, match=r"data/raw/2021-01\.parquet: no column 'seen'; valid: id"):
        stage.main()


def test_store_must_be_an_output_where_features_look_back(raw: Path) -> None:
    """A project's older `dvc.yaml` does not list it: one line says so, if a feature needs it."""
    stage.main()
    assert raw.exists()
    assert not names.HISTORY.exists()
    path = Path("data/cases/tiny/contract.yaml")
    path.write_text(f"{tiny.CONTRACT}derived:\n  size before: {{lag: size}}\n", encoding="utf-8")
    with pytest.raises(PerenneError, match=r"^dvc.yaml: stages.validate.outs: lacks data/history.parquet"):
        stage.main()
    listed = "stages: {validate: {params: [case, validate], outs: [data/history.parquet]}}"
    Path("dvc.yaml").write_text(listed, encoding="utf-8")
    stage.main()
    assert pq.read_schema(names.HISTORY).metadata[b"through"] == b"2021-02"
    assert pq.read_table("data/clean/2021-02.parquet")["size before"].null_count == 0
