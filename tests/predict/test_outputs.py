"""The files that are written: their columns, and where they may lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from perenne.common.errors import PerenneError
from perenne.predict.outputs import beside, check, opened, rejected_schema, score_columns, scores_schema
from tests import classes, tiny

ONE = pa.schema([("a", pa.int64())])


def test_scores_have_entity_and_time_and_no_name_twice() -> None:
    """Our `id` steps aside for the entity's; times are moments in UTC if the contract has a zone."""
    schema = scores_schema(tiny.contract(), ["id", "seen", "size"])
    assert schema.names == [
        *("id", "seen", "prediction_id", "score", "class", "model_version", "predicted_at", "unseen")
    ]
    assert (schema.field("id").type, schema.field("seen").type) == (pa.int64(), pa.timestamp("us"))
    zoned = tiny.contract("label_delay: 0", "label_delay: 0\nzone: Europe/Paris")
    assert scores_schema(zoned, ["seen"]).field("seen").type == pa.timestamp("us", "UTC")


def test_regression_has_no_class() -> None:
    """Nor is there a time where no file has one, nor an entity where the contract has none."""
    text = tiny.CONTRACT.replace("task: binary", "task: regression").replace("role: entity", "role: ignored")
    contract = tiny.contract("integer, role: target, values: [0, 1]", "number, role: target", text)
    names = scores_schema(contract, ["size"]).names
    assert names == ["prediction_id", "score", "model_version", "predicted_at", "unseen"]


def test_classes_have_a_column_each() -> None:
    """Named as the contract does; a column of the data keeps its name, and classes keep their type."""
    contract = classes.contract()
    names = scores_schema(contract, ["seen"]).names
    assert names[1:6] == ["prediction_id", "class", "score", "score: wheat", "score: maize"]
    taken = classes.contract("rain: {", '"score: rye": {type: text, role: ignored}\n  rain: {')
    assert scores_schema(taken, []).names[5] == "prediction_score: rye"
    numbers = classes.contract(
        "category, role: target, values: [wheat, maize, rye]", "integer, role: target, values: [3, 1, 2]"
    )
    assert scores_schema(numbers, []).field("class").type == pa.int64()
    columns = score_columns(np.array([[0.2, 0.4, 0.4], [0.5, 0.125, 0.375]]), numbers, 0.9)
    assert pa.array(columns["class"], pa.int64()).to_pylist() == [1, 3]
    assert columns["score"].tolist() == [0.4, 0.5]
    each = [columns[f"score: {name}"].tolist() for name in (3, 1, 2)]
    assert each == [[0.2, 0.5], [0.4, 0.125], [0.4, 0.375]]


def test_rows_set_aside_are_text() -> None:
    """But for their number."""
    schema = rejected_schema(tiny.contract())
    names = ["file", "row", "id", "seen", "size", "colour", "adult", "member", "broken_rules"]
    assert schema.names == names
    assert {field.name for field in schema if field.type != pa.string()} == {"row"}


@pytest.mark.parametrize("name", ["scores.parquet", "scores.csv"])
def test_files_appear_together_or_not_at_all(tmp_path: Path, name: str) -> None:
    """Older ones stay until both are whole, and after an error."""
    out = tmp_path / name
    out.write_text("older")
    with pytest.raises(ZeroDivisionError), opened(out, ONE, ONE) as writers:  # noqa: PT012 -- it fails inside
        writers.scores.write_table(pa.table({"a": [1]}))
        raise ZeroDivisionError
    assert ([*tmp_path.iterdir()], out.read_text()) == ([out], "older")
    with opened(out, ONE, ONE) as writers:
        writers.scores.write_table(pa.table({"a": [1]}))
        assert out.read_text() == "older"
    assert sorted(tmp_path.iterdir()) == sorted([out, beside(out)])


def test_full_disk_is_one_line(tmp_path: Path) -> None:
    """Whatever the system says; here that a folder is none."""
    (tmp_path / "file").write_text("")
    there = opened(tmp_path / "file" / "a.csv", ONE, ONE)
    with pytest.raises(PerenneError, match=r"file/a\.csv: cannot be written: "), there:
        pass


def test_input_is_not_overwritten_by_any_of_its_names(tmp_path: Path) -> None:
    """Through a link, hard or symbolic, neither."""
    file = tmp_path / "a.csv"
    file.write_text("")
    (tmp_path / "b.csv").symlink_to(file)
    (tmp_path / "c.csv").hardlink_to(file)
    for name in ("a.csv", "b.csv", "c.csv"):
        with pytest.raises(PerenneError, match=r"is a file to be scored; name another one"):
            check(tmp_path / name, [file])
    check(tmp_path / "d.csv", [file, tmp_path / "none.csv"])
