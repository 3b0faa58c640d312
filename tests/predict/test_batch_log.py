"""Batches in the prediction log, in SQLite and in PostgreSQL."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pandas as pd
import pytest

from perenne.common.errors import PerenneError
from perenne.predict import batch_log
from perenne.predict.batch_log import BatchLog
from perenne.predict.checks import checked
from perenne.serving.log.database import Database
from tests import tiny
from tests.serving.conftest import postgres, sqlite, url

__all__ = ["postgres", "sqlite", "url"]

AT = datetime(2021, 5, 1, tzinfo=UTC)


def rows(n: int) -> pd.DataFrame:
    """Return typed rows."""
    raw = tiny.frame(tiny.table("2021-01", rows=n)).drop(columns="won")
    raw.loc[0, "size"] = None
    frame, broken = checked(raw, tiny.contract(), None)
    assert broken.empty
    return frame


def add(log: BatchLog, n: int) -> int:
    """Log so many rows, with the ids a0, a1 and so on."""
    ids = [f"a{number}" for number in range(n)]
    scores = [number / 100 for number in range(n)]
    return log.add(rows(n), ids, scores, version="v1.0.0", at=AT, contract=tiny.contract())


def test_predictions_are_logged_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the service logs them; those that are there already stay, and the others are counted."""
    monkeypatch.setattr(batch_log, "GROUP", 4)
    with BatchLog(url) as log:
        assert [add(log, 6), add(log, 10), add(log, 10)] == [6, 4, 0]
    with Database(url) as database:
        entries = sorted((logged.entry for logged in database.read("prod")), key=lambda entry: entry.score)
    assert [entry.id for entry in entries] == [f"a{number}" for number in range(10)]
    assert {(entry.at, entry.version) for entry in entries} == {(AT, "v1.0.0")}
    assert json.loads(entries[0].features) == {
        "id": 0,
        "seen": "2021-01-01T00:00:00",
        "colour": "red",
        "adult": True,
        "member": "2020-12-31T00:00:00",
    }
    assert json.loads(entries[9].features)["size"] == 2.5


def test_log_that_cannot_be_written_is_one_line(sqlite: str) -> None:
    """It names the database and what it said."""
    with BatchLog(sqlite) as log:
        with Database(sqlite) as database, database.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE predictions")
        with pytest.raises(PerenneError, match=r"^sqlite:///\S+: no such table: predictions$"):
            add(log, 1)
