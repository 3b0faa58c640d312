"""The quick check: what it passes, the detailed check keeps to the byte; the stage writes the same files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perenne.cases import files
from perenne.common import batches, names
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.pipeline import ingest
from perenne.pipeline import validate as stage
from perenne.pipeline.quick_check import QuickCheck
from tests import tiny

JANUARY = pd.Period("2021-01", "M")
MORE = """\
columns:
  number: {type: integer, role: version, missing: true}
  note: {type: text, role: ignored}
  count: {type: integer, role: feature, missing: true}
"""
CONTRACT = (
    tiny.CONTRACT.replace("label_delay: 0", "label_delay: 1")
    .replace("columns:\n", MORE)
    .replace("boolean, role: feature", "boolean, role: feature, missing: true")
)
LOOKS_BACK = f"{CONTRACT}derived:\n  size before: {{lag: size}}\n  count before: {{lag: count}}\n"
GOOD = tiny.frame(tiny.table("2021-01", rows=6)).assign(number="1", note="as it is", count="3")


def brought(frame: pd.DataFrame, contract: Contract) -> pa.Table:
    """Return a batch as `ingest` stores it."""
    return ingest.table(frame.reset_index(drop=True), contract)


def passes(frame: pd.DataFrame, contract: Contract, *, matured: bool = True) -> bool:
    """Whether the quick check passes January."""
    return QuickCheck(contract).keeps(brought(frame, contract), JANUARY, matured=matured)


def said(table: pa.Table, contract: Contract, *, matured: bool = True) -> dict[str, int]:
    """Return the rules that the detailed check finds broken."""
    raw = batches.as_read(table, nullable=True)
    return stage.validate(raw, JANUARY, contract, matured=matured).counts().rules


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("size", ["0", "100", None]),
        ("seen", ["2021-01-01", "2021-01-31T23:59:59.999999"]),
        ("member", ["2021-01-31T23:59:59", None, "0001-01-01"]),
        ("adult", ["0", "yes", None]),
        ("colour", [" red", "blue "]),
        ("number", ["7", None]),
        ("note", ["1.0", " a"]),
    ],
)
def test_good_rows_pass_up_to_the_edges(column: str, values: list[str | None]) -> None:
    """Otherwise nothing would be quick: each kind of column, with what may be missing."""
    contract = tiny.contract(text=CONTRACT)
    for value in values:
        frame = GOOD.copy()
        frame.loc[3, column] = value
        assert passes(frame, contract), value
        assert said(brought(frame, contract), contract) == {}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("size", "big"),
        ("size", "inf"),
        ("size", "100.001"),
        ("size", "-1"),
        ("id", "1.5"),
        ("id", None),
        ("adult", "?"),
        ("colour", "Red"),
        ("colour", None),
        ("won", "2"),
        ("won", None),
        ("note", None),
        ("seen", "2021-02-01"),
        ("seen", "2020-12-31T23:59:59.999999"),
        ("member", "2021-02-01"),
    ],
)
def test_one_bad_cell_does_not_pass(column: str, value: str | None) -> None:
    """One for each rule that a cell can break."""
    frame = GOOD.copy()
    frame.loc[3, column] = value
    contract = tiny.contract(text=CONTRACT)
    assert said(brought(frame, contract), contract)
    assert not passes(frame, contract)


def test_missing_labels_pass_until_they_have_matured() -> None:
    """As in detail."""
    frame, contract = GOOD.assign(won=None), tiny.contract(text=CONTRACT)
    assert passes(frame, contract, matured=False)
    assert not passes(frame, contract, matured=True)


@pytest.mark.parametrize("change", [{}, {"number": "2"}, {"size": "9"}, {"won": None}])
def test_no_second_row_of_an_entity_and_time_passes(change: dict[str, str | None]) -> None:
    """Whether it repeats, corrects or contradicts the first; without an entity it is another row."""
    contract = tiny.contract(text=CONTRACT)
    frame = pd.concat([GOOD, GOOD.iloc[[0]].assign(**change)], ignore_index=True)
    assert said(brought(frame, contract), contract, matured=False)
    assert not passes(frame, contract, matured=False)
    apart = tiny.contract("role: entity", "role: ignored")
    assert passes(frame, apart, matured=False)


def table(**columns: pa.Array) -> tuple[pa.Table, Contract]:
    """Return two good rows whose entity is a number, with other columns put in, and their contract."""
    contract = tiny.contract("id: {type: integer", "id: {type: number")
    made = brought(GOOD[:2].assign(seen="2021-01-05"), contract)
    for name, values in columns.items():
        made = made.set_column(made.column_names.index(name), name, values)
    return made, contract


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("id", pa.array([0.0, -0.0])),
        ("size", pa.array([1.0, float("nan")])),
        ("member", pa.array([0, -(2**63)], pa.timestamp("us"))),
        ("colour", pa.array(["red", " red"])),
        ("adult", pa.array(["yes", "no"])),
        ("size", pa.array([1, 2])),
    ],
)
def test_what_a_frame_takes_for_something_else_does_not_pass(column: str, values: pa.Array) -> None:
    """Files that `ingest` has not written: two zeros, no number, no time, another spelling, another type."""
    plain, contract = table()
    assert QuickCheck(contract).keeps(plain, JANUARY, matured=True)
    other, _ = table(**{column: values})
    assert not QuickCheck(contract).keeps(other, JANUARY, matured=True)


@pytest.mark.parametrize(("at", "rules"), [("23:00:00", {}), ("22:59:59", {"seen: outside its period": 1})])
def test_a_period_begins_by_the_clocks_of_the_zone(at: str, rules: dict[str, int]) -> None:
    """As in detail."""
    contract = tiny.contract("period: month", "period: month\nzone: Europe/Paris")
    frame = GOOD.copy()
    frame.loc[3, "seen"] = f"2020-12-31T{at}Z"
    assert said(brought(frame, contract), contract) == rules
    assert passes(frame, contract) is not bool(rules)


# Of each column, cells that keep the contract, and some that do not or not always.
CELLS: dict[str, tuple[list[str | None], list[str | None]]] = {
    "id": ([*map(str, range(40))], ["1.5", None]),
    "seen": ([f"2021-MONTH-{day:02d}" for day in range(1, 29)], ["2020-12-31", "soon", None]),
    "size": (["0", "5.5", "100", None], ["-1", "a", "inf"]),
    "colour": (["red", "blue", " red"], ["RED", None]),
    "adult": (["true", "no", None], ["?"]),
    "member": (["2020-01-01", None], ["2021-09-01", "?"]),
    "won": (["0", "1"], ["2", "x", None]),
    "number": (["1", "2", None], ["x"]),
    "count": ([str(2**53 + 1), "2", None], ["2.5"]),
    "note": (["a", "b c", "1.0"], [" ", None]),
}


def some(rng: np.random.Generator, cells: list[str | None], count: int) -> list[str | None]:
    """Return so many of some cells."""
    return [cells[place] for place in rng.integers(0, len(cells), count)]


def draw(rng: np.random.Generator, month: str) -> pd.DataFrame:
    """Return a batch; in half of them a row is there twice or a cell is odd, or both."""
    rows = int(rng.integers(0, 12))
    frame = pd.DataFrame({name: some(rng, good, rows) for name, (good, _) in CELLS.items()}, dtype="object")
    for _ in range(int(rng.choice([0, 0, 1, 2])) if rows else 0):
        name = str(rng.choice(list(CELLS)))
        if rng.random() < 0.5:
            frame = pd.concat([frame, frame.sample(1, random_state=int(rng.integers(99)))], ignore_index=True)
            name = str(rng.choice(["size", "won", "number"]))
        good, odd = CELLS[name]
        frame.loc[len(frame) - 1, name] = some(rng, [*good, *odd], 1)[0]
    return frame.replace("MONTH", month, regex=True)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), late=st.booleans())
def test_what_passes_is_kept_to_the_byte(seed: int, *, late: bool) -> None:
    """In detail nothing is found either, and the rows that it keeps are those of the file."""
    contract = tiny.contract(text=CONTRACT)
    whole = brought(draw(np.random.default_rng(seed), "01"), contract)
    if not QuickCheck(contract).keeps(whole, JANUARY, matured=not late):
        return
    raw = batches.as_read(whole, nullable=True)
    checked = stage.validate(raw, JANUARY, contract, matured=not late)
    assert checked.broken.empty
    assert batches.to_table(checked.kept, batches.schema(contract)).equals(whole)
    pd.testing.assert_frame_equal(batches.to_frame(whole), checked.kept)


@pytest.mark.parametrize("text", [CONTRACT, LOOKS_BACK], ids=["as it came", "looks back"])
@pytest.mark.parametrize(("seed", "most"), [(seed, most) for seed in range(3) for most in (0.3, 1.0)])
def test_stage_writes_the_same_with_and_without_it(
    seed: int, most: float, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file of a dirty history, to the byte; where it stops, the same line, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    contract = tiny.contract(text=text)
    Path("data/cases/tiny").mkdir(parents=True)
    Path("data/cases/tiny/contract.yaml").write_text(text, encoding="utf-8")
    params = tiny.PARAMS.replace("max_quarantined_share: 0.1", f"max_quarantined_share: {most}")
    Path("params.yaml").write_text(params, encoding="utf-8")
    listed = "stages: {validate: {params: [case, validate], outs: [data/history.parquet]}}"
    Path("dvc.yaml").write_text(listed, encoding="utf-8")
    rng = np.random.default_rng(seed)
    for period in pd.period_range("2020-01", periods=24, freq="M"):
        frame = draw(rng, f"{period.month:02d}").replace("^2021-", f"{period.year}-", regex=True)
        batches.write_parquet(tmp_path / f"data/raw/{period}.parquet", brought(frame, contract))
    quick = outcome()
    passed: list[bool] = []
    keeps = QuickCheck.keeps

    def nothing(check: QuickCheck, table: pa.Table, period: pd.Period, *, matured: bool) -> bool:
        passed.append(keeps(check, table, period, matured=matured))
        return False

    monkeypatch.setattr(QuickCheck, "keeps", nothing)
    assert outcome() == quick
    stopped = len(passed) < 24
    assert stopped is bool(quick[0]) is (most < 1)
    assert stopped or 0 < sum(passed) < 24


def outcome() -> tuple[str, dict[str, bytes]]:
    """Run the stage from nothing; return the line that it ends with, and all that it has written."""
    for path in (names.CLEAN, names.QUARANTINE, names.VALIDATION.parent):
        shutil.rmtree(path, ignore_errors=True)
    names.HISTORY.unlink(missing_ok=True)
    said = ""
    try:
        stage.main()
    except PerenneError as error:
        said = str(error)
    files = {str(path): path.read_bytes() for path in Path("data").rglob("*.*") if path.is_file()}
    return said, files


@pytest.mark.parametrize(
    "text", [CONTRACT, CONTRACT.replace("integer, role: entity", "number, role: entity")]
)
@pytest.mark.parametrize("zone", ["", "zone: Europe/Paris\n"])
@pytest.mark.parametrize("seed", range(4))
def test_ingest_stores_the_same_with_and_without_it(
    seed: int, zone: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files whose columns have types, in any order, some of them dirty: equal tables, or the same line."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(seed)
    contract = tiny.contract("row:", f"{zone}row:", text=text)
    for month in range(1, 13):
        rows = brought(draw(rng, f"{month:02d}"), tiny.contract(text=text))
        if seed and pa.types.is_floating(rows["size"].type) and month % 3 == 0:
            size = [*rows["size"].to_pylist()[1:], (float("nan"), -0.0, float("inf"))[month % 2]][: len(rows)]
            rows = rows.set_column(rows.column_names.index("size"), "size", pa.array(size, pa.float64()))
        shuffled = rows.take(pa.array(rng.permutation(len(rows)), pa.int64()))
        for part, piece in enumerate((shuffled[:4], shuffled[4:])):
            batches.write_parquet(Path(f"data/incoming/tiny/{month}-{part}.parquet"), piece)
    source = files.Files(source="files", glob="*", through="2021-12").of_case("tiny")
    stored, line = tables(ingest.tables(source, contract))
    frames = ((period, ingest.table(frame, contract)) for period, frame in ingest.ingest(source, contract))
    assert (stored, line) == tables(frames)
    assert any(QuickCheck(contract).reads(table) for table in stored.values())


def tables(found: Iterator[tuple[pd.Period, pa.Table]]) -> tuple[dict[str, pa.Table], str]:
    """Return batches by period, and the line that they end with."""
    stored: dict[str, pa.Table] = {}
    try:
        for period, table in found:
            stored[str(period)] = table
    except PerenneError as error:
        return stored, str(error)
    return stored, ""
