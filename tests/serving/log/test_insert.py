"""Predictions are inserted by the driver alone, and what is stored is what SQLAlchemy would store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import DataError, DBAPIError

from perenne.serving.log.database import Database
from perenne.serving.log.insert import MOST_ROWS, in_sqlite
from perenne.serving.log.records import Entry, Label, LabelResult
from perenne.serving.log.schema import predictions

NOON = datetime(2021, 3, 31, 12, tzinfo=UTC)
VALUES = [
    Entry("a", NOON, "prod", "v1.0.0", '{"site": "Besançon \\u0000"}', 0.1 + 0.2),
    Entry("b", NOON + timedelta(microseconds=5), "prod", "v1'\"\\", "\t\n {} % ? $1 \U0001f33e", 5e-324),
    Entry("c", datetime(987, 1, 1, tzinfo=UTC), "shadow", "", "", -1.7976931348623157e308, '{"wheat": 0.1}'),
    Entry("d", NOON, "prod", "v", "0", float("inf")),
    Entry("e", NOON, "prod", "v", "0", -0.0, "null"),
]


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """Return an empty database, as the service opens it."""
    with Database(url, prompt=True) as opened:
        yield opened


def stored(database: Database) -> list[tuple[object, ...]]:
    """Return the rows of the table, as the driver reads them; a number by all its bits."""
    with database.engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT * FROM predictions ORDER BY id")
        return [tuple(repr(value) for value in row) for row in found]


def test_same_rows_as_by_sqlalchemy(database: Database) -> None:
    """Numbers to the bit, times to the microsecond, any text."""
    with database.engine.begin() as connection:
        connection.execute(predictions.insert(), [entry._asdict() for entry in VALUES])
    expected = stored(database)
    with database.engine.begin() as connection:
        connection.execute(predictions.delete())
    assert database.add(VALUES) == len(VALUES)
    assert stored(database) == expected
    with database.engine.begin() as connection:
        connection.execute(predictions.delete())
    database.write(VALUES, [[Label("a", 1, NOON)]])  # the same, in a transaction with labels
    assert stored(database) == expected


def many(count: int, name: str = "n") -> list[Entry]:
    """Return some predictions."""
    return [VALUES[0]._replace(id=f"{name}{number:05}", score=float(number)) for number in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, MOST_ROWS - 1, MOST_ROWS, MOST_ROWS + 1, 1_000])
def test_any_number_of_rows(count: int, database: Database) -> None:
    """Each once and in place; only those are counted that were not there."""
    entries = many(count)
    assert database.add(entries) == count
    assert [logged.entry for logged in database.read("prod")] == entries
    assert database.add([*entries, *many(3, "x")]) == 3


def test_all_rows_or_none(database: Database) -> None:
    """One that cannot be stored is at fault for all that are written with it, in whichever statement."""
    bad = many(2_000)
    bad[1_500] = bad[1_500]._replace(score=None)  # type: ignore[arg-type]  # what the table refuses
    with pytest.raises(DBAPIError):
        database.add(bad)
    assert stored(database) == []
    assert database.add(many(2_000)) == 2_000


def test_value_that_postgresql_refuses_is_at_fault(postgres: str) -> None:
    """A NUL in a text is an error of the row, not of the database."""
    with Database(postgres) as database:
        with pytest.raises(DataError):
            database.add([VALUES[0]._replace(version="v\0")])
        assert database.add(VALUES) == len(VALUES)


def test_labels_come_after_their_predictions(database: Database) -> None:
    """In one transaction, also beside callers that have none."""
    results = database.write(VALUES, [[], [Label("a", 1, NOON), Label("x", 1, NOON)], []])
    assert results == [LabelResult(0, [], []), LabelResult(1, ["x"], []), LabelResult(0, [], [])]


def test_few_texts_of_statements() -> None:
    """SQLite prepares a text once, so sizes must not be as many as groups."""
    texts = {statement.text for count in range(1, 300) for statement in in_sqlite(many(count))}
    assert len(texts) == 10
