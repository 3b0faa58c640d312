"""Files: the same bytes for the same rows, nothing half-written, and values read in the contract's types."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from perenne.common import batches, disk
from perenne.common.column import Column, Type
from perenne.common.errors import PerenneError
from tests import tiny


def read(kind: Type, *values: object) -> list[object]:
    """Return values as a type of the contract, None for what cannot be read."""
    found = batches.typed(pd.Series(values), Column(type=kind, role=("ignored",)))
    return [None if pd.isna(value) else value for value in found.tolist()]


def test_number_in_a_file_is_the_number_in_a_request() -> None:
    """To the last bit, however many digits it has: pandas alone misses every third of sixteen."""
    rng = np.random.default_rng(0)
    numbers = [*(rng.random(2_000) * 10.0 ** rng.integers(-300, 300, 2_000)), 0.1 + 0.2, 5e-324, -0.0]
    for dtype in ("object", "str", "string"):
        texts = pd.Series([repr(float(number)) for number in numbers], dtype=dtype)
        found = batches.typed(texts, Column(type="number", role=("ignored",)))
        assert [value.hex() for value in found.tolist()] == [float(number).hex() for number in numbers]


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        ("integer", "12", 12),
        ("integer", " 12", 12),
        ("integer", "3.0", 3),
        ("integer", 3.0, 3),
        ("integer", "1e3", 1000),
        ("integer", "3.5", None),
        ("integer", "1,5", None),
        ("integer", "0x10", None),
        ("integer", "1_000", None),
        ("integer", "inf", None),
        ("integer", str(2**53 + 1), 2**53 + 1),
        ("integer", str(2**63 - 1), 2**63 - 1),
        ("integer", str(-(2**63)), -(2**63)),
        ("integer", str(2**63), None),
        ("integer", "99999999999999999999", None),
        ("integer", 1e18, None),
        ("integer", True, 1),
        ("integer", pd.Timestamp("2013-05-17"), None),
        ("number", "1.5", 1.5),
        ("number", " 1.5 ", 1.5),
        ("number", "1e-3", 0.001),
        ("number", "1,5", None),
        ("number", "1.234,5", None),
        ("number", "inf", None),
        ("number", "1e400", None),
        ("number", math.inf, None),
        ("number", "nan", None),
        ("number", pd.Timestamp("2013-05-17"), None),
        ("boolean", True, True),
        ("boolean", "true", True),
        ("boolean", "TRUE", True),
        ("boolean", "False", False),
        ("boolean", "1", True),
        ("boolean", 0, False),
        ("boolean", 1.0, True),
        ("boolean", 2, None),
        ("boolean", 0.5, None),
        ("boolean", "yes", True),
        ("boolean", " No", False),
        ("boolean", "maybe", None),
        ("datetime", "2013-05-17", pd.Timestamp("2013-05-17")),
        ("datetime", "2013-05-17T23:30-05:00", pd.Timestamp("2013-05-17 23:30")),
        ("datetime", "17.05.2013", None),
        ("datetime", "now", None),
        ("datetime", 20130517, None),
        ("category", "red", "red"),
        ("category", 7, "7"),
        ("category", True, "True"),
        ("category", " red\u00a0", "red"),
        ("category", "1.0", "1"),
        ("category", "-1.00", "-1"),
        ("category", 1e16, "10000000000000000"),
        ("category", 0.5, "0.5"),
        ("category", "1.10", "1.10"),
        ("category", "01", "01"),
        ("category", "cafe\u0301", "caf\u00e9"),
        ("category", " ", None),
        ("boolean", " true", True),
        ("text", "A1 ", "A1"),
        ("text", "a\nb", "a\nb"),
        ("text", None, None),
    ],
)
def test_value_is_read_in_the_type_of_the_contract(kind: Type, value: object, found: object) -> None:
    """What is meant is read, what is not that type becomes missing; a missing neighbour changes nothing."""
    assert read(kind, value) == [found]
    assert read(kind, value, None) == [found, None]


@pytest.mark.parametrize(
    ("words", "value", "found"),
    [
        (("good", "bad"), "good", False),
        (("good", "bad"), " BAD ", True),
        (("good", "bad"), "true", True),
        (("good", "bad"), False, False),
        (("good", "bad"), "yes", None),
        (("good", "bad"), 1, None),
        (("good", "bad"), "", None),
        (("nein", "ja"), "Ja", True),
        (("não", "sim"), "na\u0303o", False),
        ((1, 2), 2, True),
        ((1, 2), 1.0, False),
        ((1, 2), "1", False),
        ((1, 2), True, True),
        ((1, 0), 0, True),
        ((1, 0), "1.0", False),
    ],
)
def test_boolean_is_read_by_its_words(words: tuple[str | int, ...], value: object, found: object) -> None:
    """In any case and spelling; other words, such as yes, are no values then, but true and false are."""
    column = Column(type="boolean", role=("ignored",), values=words)
    for values in ([value], [value, None]):
        read_as = batches.typed(pd.Series(values), column)
        assert read_as.dtype == "boolean"
        assert [None if pd.isna(one) else one for one in read_as] == [found, None][: len(values)]


@pytest.mark.parametrize("neighbour", ["x", "1.5", "3.0", None, "99999999999999999999"])
def test_large_identifiers_stay_exact(neighbour: str | None) -> None:
    """An integer that no float can hold is the same whatever else is in its column."""
    assert read("integer", str(2**53 + 1), neighbour)[0] == 2**53 + 1


def test_whole_numbers_are_the_same_category_with_and_without_a_missing_one() -> None:
    """Pandas makes floats of integers when one is missing; the category is still `7`."""
    column = Column(type="category", role=("ignored",))
    assert batches.typed(pd.Series([7.0, None]), column)[0] == batches.typed(pd.Series([7]), column)[0] == "7"


def test_batches_have_one_schema_whatever_is_missing() -> None:
    """A column all missing, or no row at all, has the contract's type too."""
    rows = tiny.contract()
    whole = tiny.frame(tiny.table("2021-01"))
    for frame in (whole, whole.assign(size=None), whole[:0]):
        typed = pd.DataFrame({n: batches.typed(frame[n], c) for n, c in rows.columns.items()})
        assert batches.to_table(typed, batches.schema(rows)).schema == batches.schema(rows)


def test_mixed_column_is_written_as_text(tmp_path: Path) -> None:
    """Rows in quarantine are as they came, and they may have come in any type."""
    frame = pd.DataFrame(
        {"mixed": ["x", 1, 2.5, None], "times": [pd.Timestamp(0), "x", 1, None]}, dtype=object
    )
    batches.write_parquet(tmp_path / "a.parquet", batches.to_table(frame))
    assert batches.read_parquet(tmp_path / "a.parquet")["mixed"].tolist()[:3] == ["x", "1", "2.5"]


def test_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    """Neither a frame's index nor pandas' notes on it reach the file."""
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    batches.write_parquet(tmp_path / "a.parquet", batches.to_table(frame))
    batches.write_parquet(
        tmp_path / "b.parquet", batches.to_table(frame.set_index(pd.Index([7, 9], name="i")))
    )
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_nullable_integers_stay_exact_on_disk(tmp_path: Path) -> None:
    """A large identifier beside a missing one comes back as it was written."""
    table = pa.table({"id": pa.array([2**53 + 1, None], pa.int64())})
    batches.write_parquet(tmp_path / "a.parquet", table)
    assert batches.read_parquet(tmp_path / "a.parquet", nullable=True)["id"][0] == 2**53 + 1


def test_failure_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    """The new file takes the old one's place only once it is whole."""
    path = tmp_path / "new" / "a.txt"
    with disk.replacing(path) as temporary:
        temporary.write_text("old", encoding="utf-8")
    with contextlib.suppress(KeyboardInterrupt), disk.replacing(path) as temporary:
        temporary.write_text("ne", encoding="utf-8")
        raise KeyboardInterrupt
    assert [(p.name, p.read_text(encoding="utf-8")) for p in path.parent.iterdir()] == [("a.txt", "old")]


def test_folder_is_replaced_whole(tmp_path: Path) -> None:
    """What the old folder held is gone, as is what an earlier run that was killed left behind."""
    folder = tmp_path / "raw"
    for name in ("old", "new"):
        (tmp_path / ".raw.part").mkdir()
        (tmp_path / ".raw.part" / "killed").touch()
        with disk.replacing(folder) as temporary:
            disk.write_json(temporary / name, {})
    assert [p.name for p in tmp_path.rglob("*")] == ["raw", "new"]


def test_json_is_canonical(tmp_path: Path) -> None:
    """Sorted keys, six digits, null for what is no number: so a sum's last bits show nowhere."""
    path = tmp_path / "a.json"
    disk.write_json(path, {"b": 0.1 + 0.2, "a": [math.nan, -math.inf, 1], "é": (1e-9,), "c": {2: True}})
    text = path.read_text(encoding="utf-8")
    assert json.loads(text) == {"a": [None, None, 1], "b": 0.3, "c": {"2": True}, "é": [1e-9]}
    assert text.startswith('{\n  "a"')
    assert text.endswith("}\n")
    assert '"é"' in text


def test_unreadable_parquet_is_named(tmp_path: Path) -> None:
    """A missing, an empty and a truncated file."""
    path = tmp_path / "2021-01.parquet"
    with pytest.raises(PerenneError, match=r"2021-01\.parquet: no such file"):
        batches.read_parquet(path)
    batches.write_parquet(path, pa.table({"a": list(range(1000))}))
    for length in (0, 4, 500):
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises(
            PerenneError, match=r"2021-01\.parquet: not a readable Parquet file \(truncated\?\)"
        ):
            batches.read_parquet(path)


def test_batches_are_listed_in_the_order_of_time(tmp_path: Path) -> None:
    """A file that is no batch is an error, and so is an empty folder."""
    rows = tiny.contract()
    with pytest.raises(PerenneError, match="no batch; it must hold one Parquet file per month"):
        batches.listed(tmp_path, rows)
    for name in ("2021-10", "2021-09", "2020-12"):
        (tmp_path / f"{name}.parquet").touch()
    assert [str(period) for period in batches.listed(tmp_path, rows)] == ["2020-12", "2021-09", "2021-10"]
    (tmp_path / "copy.parquet").touch()
    with pytest.raises(PerenneError, match=r"copy\.parquet: 'copy' is not a month; write it like 2013-05"):
        batches.listed(tmp_path, rows)
