"""The exported log has batches like any other: predictions with their outcomes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from perenne.cases.files import Files
from perenne.common import batches
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.pipeline import ingest
from perenne.serving.log.database import Database
from perenne.serving.log.export import export, over
from perenne.serving.log.records import Entry, Label
from perenne.serving.rows import PredictAdapter
from perenne.serving.scored_rows import features
from tests import classes, tiny
from tests.project import Project

CONTRACT = tiny.contract()
APRIL = pd.Period("2021-04", "M")
ROW = {"id": 1, "seen": "2021-03-05", "size": 2.5, "colour": "red", "adult": True, "member": None}


@pytest.fixture
def database(sqlite: str) -> Iterator[Database]:
    """Return an empty database."""
    with Database(sqlite) as opened:
        yield opened


def log(database: Database, name: str, hour: int = 0, **row: object) -> None:
    """Log a prediction, some hours after the first of April."""
    at = datetime(2021, 4, 1, tzinfo=UTC) + timedelta(hours=hour)
    database.write([Entry(name, at, "prod", "v1.0.0", json.dumps(ROW | row), 0.5)])


def label(database: Database, name: str, value: float | str) -> None:
    """Write an outcome."""
    database.write([], [[Label(name, value, datetime(2021, 5, 1, tzinfo=UTC))]])


def read(folder: Path, month: str) -> list[dict[str, object]]:
    """Return the rows of a month in Python's types."""
    rows: list[dict[str, object]] = pq.read_table(folder / f"predictions-{month}.parquet").to_pylist()
    return rows


def test_one_file_a_period(database: Database, tmp_path: Path) -> None:
    """By the row's time, or the time of the request, in the contract's types."""
    log(database, "a")
    log(database, "b", id=2, seen=None, member="2020-02-29", size=None)
    label(database, "a", 1)
    summary = export(database, CONTRACT, tmp_path, APRIL)
    assert str(summary) == (
        f"2 rows, 1 with labels, in {tmp_path}/predictions-2021-03.parquet to predictions-2021-04.parquet"
    )
    assert read(tmp_path, "2021-03") == [{**ROW, "seen": datetime(2021, 3, 5), "member": None, "won": 1}]
    (april,) = read(tmp_path, "2021-04")
    assert (april["seen"], april["member"]) == (datetime(2021, 4, 1), datetime(2020, 2, 29))
    assert (april["size"], april["won"]) == (None, None)


def test_log_of_a_zone_goes_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests, log, exported files and batches agree on the moment and its day by the contract's clocks."""
    monkeypatch.chdir(tmp_path)
    paris = tiny.contract("period: month", "period: day\nzone: Europe/Paris")
    with Database(f"sqlite:///{tmp_path}/log.sqlite") as database:
        adapter = PredictAdapter(paris, 9)
        sent: list[dict[str, object]] = [ROW | {"id": n} for n in range(3)]
        sent[0] |= {"seen": "2021-03-30T23:30:00+02:00"}  # 21:30 in UTC
        sent[1] |= {"seen": "2021-03-31T00:30"}  # 22:30 of the day before in UTC
        sent[2] |= {"seen": "2021-03-31T23:30:00Z"}  # the next day in Paris
        rows = adapter.validate_json(json.dumps({"rows": sent}))["rows"]
        noon = datetime(2021, 4, 1, 22, 30, tzinfo=UTC)  # half past midnight of the next day in Paris
        logged = [Entry(str(n), noon, "prod", "v1.0.0", features(row), 0.5) for n, row in enumerate(rows)]
        database.write(
            [*logged, Entry("3", noon, "prod", "v1.0.0", json.dumps(ROW | {"id": 3, "seen": None}), 0.5)]
        )
        out = tmp_path / "data/incoming"
        done = export(database, paris, out, over(paris, datetime(2021, 4, 2, 22, tzinfo=UTC)))
    days = ["2021-03-30", "2021-03-31", "2021-04-01", "2021-04-02"]
    assert [path.stem.removeprefix("predictions-") for path in done.files] == days
    source = Files(source="files", through=days[-1], glob="*")
    brought = {
        str(p): ingest.table(frame, paris)["seen"].to_pylist() for p, frame in ingest.ingest(source, paris)
    }
    assert brought == {
        days[0]: [datetime(2021, 3, 30, 21, 30)],
        days[1]: [datetime(2021, 3, 30, 22, 30)],
        days[2]: [datetime(2021, 3, 31, 23, 30)],
        days[3]: [noon.replace(tzinfo=None)],
    }


def test_same_log_same_bytes(database: Database, tmp_path: Path) -> None:
    """Also if the rows were scored in another order."""
    with Database(f"sqlite:///{tmp_path}/other.sqlite") as other:
        for n in range(50):
            log(database, str(n), hour=n, id=n % 49)
            log(other, str(n), hour=50 - n, id=n % 49)
        export(database, CONTRACT, tmp_path / "one", APRIL)
        export(other, CONTRACT, tmp_path / "two", APRIL)
    one, two = (tmp_path / which / "predictions-2021-03.parquet" for which in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_duplicates_are_removed(database: Database, tmp_path: Path) -> None:
    """The labelled row stays, else the last one. Rows without an entity are not duplicates."""
    log(database, "a", hour=1, size=1)
    log(database, "b", hour=2, size=2)
    log(database, "c", hour=3, id=2, size=3)
    log(database, "d", hour=4, id=2, size=4)
    log(database, "e", hour=5, id=None)
    log(database, "f", hour=6, id=None)
    label(database, "a", 0)
    assert export(database, CONTRACT, tmp_path, APRIL).repeated == 2
    rows = read(tmp_path, "2021-03")
    assert [(row["id"], row["size"], row["won"]) for row in rows] == [
        (1, 1.0, 0),
        (2, 4.0, None),
        (None, 2.5, None),
        (None, 2.5, None),
    ]


def test_later_periods_are_not_written(database: Database, tmp_path: Path) -> None:
    """Half a batch would look like drift."""
    log(database, "a", seen="2021-04-30")
    log(database, "b", seen="2021-05-01")
    assert len(export(database, CONTRACT, tmp_path, APRIL).files) == 1


CROPS: list[tuple[str, list[str], list[object]]] = [
    ("category, role: target, values: [wheat, maize, rye]", ["rye", "wheat"], ["rye", "wheat", None]),
    ("integer, role: target, values: [3, 1, 2]", ["2", "3"], [2, 3, None]),
]


@pytest.mark.parametrize(("target", "given", "written"), CROPS)
def test_classes_are_written_back(
    database: Database, tmp_path: Path, target: str, given: list[str], written: list[object]
) -> None:
    """In the target's type, whatever their place in the contract is by then."""
    contract = classes.contract("category, role: target, values: [wheat, maize, rye]", target)
    row = {"seen": "2021-03-05", "rain": 0.5, "height": 1.5, "soil": "clay"}
    at = datetime(2021, 4, 1, tzinfo=UTC)
    database.write([Entry(f"{n}", at, "prod", "v1.0.0", json.dumps(row | {"id": n}), 0.5) for n in range(3)])
    for name, value in zip("01", given, strict=True):
        label(database, name, value)
    assert export(database, contract, tmp_path, APRIL).labelled == 2
    assert [one["crop"] for one in read(tmp_path, "2021-03")] == written


@pytest.mark.parametrize(("value", "contract"), [("rye", CONTRACT), (1.0, classes.contract())])
def test_label_of_another_kind_is_an_error(
    database: Database, tmp_path: Path, value: float | str, contract: Contract
) -> None:
    """It would become a missing one, or a class that is called 1.0."""
    log(database, "a", rain=0.5, height=0.5, soil="clay")
    label(database, "a", value)
    with pytest.raises(
        PerenneError, match=rf"prediction a of v1\.0\.0 has the label {value!r}, which is no "
    ):
        export(database, contract, tmp_path, APRIL)


def test_log_of_another_contract_is_an_error(database: Database, tmp_path: Path) -> None:
    """No file is written or changed."""
    (tmp_path / "predictions-2021-03.parquet").write_bytes(b"before")
    log(database, "a")
    database.write([Entry("b", datetime(2021, 4, 1, tzinfo=UTC), "prod", "v0.9.0", '{"size": 1}', 0.5)])
    with pytest.raises(PerenneError, match=r"predictions\.sqlite: prediction b of v0\.9\.0 has no adult, a"):
        export(database, CONTRACT, tmp_path, APRIL)
    assert (tmp_path / "predictions-2021-03.parquet").read_bytes() == b"before"


def test_pipeline_ingests_exported_predictions(project: Project) -> None:
    """Of two quarters one is labelled; after export and `validate` both equal the original batches."""
    quarters = {
        name: batches.read_parquet(project.path / f"data/clean/{name}.parquet", nullable=True)
        for name in ("2020Q2", "2020Q3")
    }
    url = f"sqlite:///{project.path}/data/predictions.sqlite"
    with Database(url) as database:
        for name, rows in quarters.items():
            given = rows.drop(columns="retires").to_json(orient="records", lines=True, date_format="iso")
            entries = [
                Entry(f"{name}-{n}", datetime(2020, 10, 1, tzinfo=UTC), "prod", "v1.0.0", line, 0.5)
                for n, line in enumerate(given.splitlines())
            ]
            known = datetime(2021, 1, 1, tzinfo=UTC)
            outcomes = [Label(f"{name}-{n}", int(value), known) for n, value in enumerate(rows["retires"])]
            database.write(entries, [outcomes if name == "2020Q2" else []])
    project.edit(
        r"(?s)^ingest:.*?(?=^validate:)",
        'ingest:\n  source: files\n  glob: "predictions-*.parquet"\n  through: 2020Q3\n\n',
    )
    printed = project.out(f"perenne export-log --log-url {url} --through 2020Q3")
    assert printed.startswith(
        f"{sum(map(len, quarters.values())):,} rows, {len(quarters['2020Q2']):,} with labels"
    )
    project.out("dvc repro validate")
    for name, rows in quarters.items():
        ingested = batches.read_parquet(project.path / f"data/clean/{name}.parquet", nullable=True)
        expected = rows if name == "2020Q2" else rows.assign(retires=pd.array([pd.NA] * len(rows), "Int64"))
        pd.testing.assert_frame_equal(ingested, expected)
