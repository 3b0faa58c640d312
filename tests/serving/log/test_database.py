"""The log's database: SQLite and PostgreSQL behave the same."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from perenne.common.errors import PerenneError
from perenne.serving.log.database import Database
from perenne.serving.log.migrate import migrate
from perenne.serving.log.records import Entry, Label, LabelResult
from perenne.serving.log.schema import metadata
from tests.project import ROOT

NOON = datetime(2021, 3, 31, 12, tzinfo=UTC)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """Return an empty database."""
    with Database(url) as opened:
        yield opened


def entry(name: str, at: datetime = NOON, stage: str = "prod") -> Entry:
    """Return a prediction."""
    return Entry(name, at, stage, "v1.0.0", '{"site": "Besançon \\u0000"}', 0.1 + 0.2)


def outcomes(database: Database) -> dict[str, float | str | None]:
    """Return the label of each prediction in prod."""
    return {logged.entry.id: logged.label for logged in database.read("prod")}


def test_entries_are_read_as_written(database: Database) -> None:
    """Bit for bit, in UTC, in order of time; each stage has its own entries."""
    paris = timezone(timedelta(hours=1))
    late, early = entry("b"), entry("c", datetime(2021, 3, 31, 12, 30, 0, 5, tzinfo=paris))
    database.write([late, early, entry("b", stage="shadow")])
    assert [logged.entry for logged in database.read("prod")] == [early, late]
    assert [logged.entry for logged in database.read("shadow")] == [entry("b", stage="shadow")]


def test_write_is_idempotent(database: Database) -> None:
    """An id that is written again keeps its first entry."""
    database.write([entry("a")])
    database.write([entry("a")._replace(score=0.9), entry("b")])
    assert [(logged.entry.id, logged.entry.score) for logged in database.read("prod")] == [
        ("a", entry("a").score),
        ("b", entry("b").score),
    ]


def test_labels_may_be_late_or_repeated(database: Database) -> None:
    """A repeated label changes nothing; an unknown id is listed once and not stored."""
    database.write([entry("a"), entry("b")])
    label = Label("a", 1, NOON)
    assert database.write([], [[label, label]]) == [LabelResult(1, [], [])]
    stranger = Label("c", 1, NOON)
    assert database.write([], [[label], [stranger, stranger, Label("\0", 1, NOON)]]) == [
        LabelResult(1, [], []),
        LabelResult(0, ["c", "\0"], []),
    ]
    database.write([entry("c")])
    assert outcomes(database) == {"a": 1, "b": None, "c": None}


def test_superseded_label_is_not_counted_as_stored(database: Database) -> None:
    """Its caller is told; a repeated label is stored, since the log has it."""
    database.write([entry("a"), entry("b")])
    late, early = Label("a", 0, NOON), Label("a", 1, NOON - timedelta(seconds=1))
    database.write([], [[late]])
    assert database.write([], [[early, Label("b", 1, NOON)], [late]]) == [
        LabelResult(1, [], ["a"]),
        LabelResult(1, [], []),
    ]
    assert outcomes(database) == {"a": 0, "b": 1}


@pytest.mark.parametrize("value", [0, 1])
def test_correction_known_at_the_same_time_wins(value: float, database: Database) -> None:
    """Outcomes are often dated by the day: the one written last wins, whatever its value."""
    database.write([entry("a")])
    database.write([], [[Label("a", 1 - value, NOON)], [Label("a", value, NOON)]])
    assert outcomes(database) == {"a": value}
    both = [Label("a", value, NOON), Label("a", 1 - value, NOON)]
    assert database.write([], [both]) == [LabelResult(1, [], [])]
    assert outcomes(database) == {"a": 1 - value}


def test_label_from_the_future_can_be_corrected(database: Database) -> None:
    """An older Perenne stored such labels: they give way to any other."""
    database.write([entry("a")])
    database.write([], [[Label("a", 1, datetime(9999, 12, 31, tzinfo=UTC))]])
    assert database.write([], [[Label("a", 0, NOON)]]) == [LabelResult(1, [], [])]
    assert outcomes(database) == {"a": 0}


def test_probe_leaves_nothing(database: Database) -> None:
    """Also not after one that was killed between its two commits."""
    database.write([Entry("probe", NOON, "probe", "probe", "", 0)])
    database.probe(10)
    assert list(database.read("probe")) == []


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_label_known_later_wins(order: tuple[int, ...], database: Database) -> None:
    """In any order of arrival: a delayed message does not undo a correction."""
    database.write([entry("a")])
    given = [
        Label("a", 0, NOON - timedelta(days=1)),
        Label("a", 1, NOON),
        Label("a", 0, NOON + timedelta(days=1)),
    ]
    for place in order:
        database.write([], [[given[place]]])
    assert outcomes(database) == {"a": 0}


def test_many_labels_at_once(database: Database) -> None:
    """More ids than fit into one query."""
    names = [f"{n:05}" for n in range(2_500)]
    database.write([entry(name) for name in names])
    assert database.write([], [[Label(name, 1, NOON) for name in [*names, "x"]]]) == [
        LabelResult(2_500, ["x"], [])
    ]


def test_migrations_match_the_schema(database: Database) -> None:
    """Alembic finds no difference."""
    with database.engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_reopened_database_is_unchanged(url: str) -> None:
    """Migrations do not run twice."""
    with Database(url) as first:
        first.write([entry("a")])
    with Database(url) as second:
        assert list(outcomes(second)) == ["a"]


def test_concurrent_opening(url: str) -> None:
    """One process creates the tables, the others find them."""
    script = f"from perenne.serving.log.database import Database; Database({url!r})"
    running = [subprocess.Popen([sys.executable, "-c", script], cwd=ROOT) for _ in range(4)]
    assert [process.wait() for process in running] == [0] * 4


def test_opening_waits_for_another_that_opens(tmp_path: Path) -> None:
    """SQLite itself does not wait for a writer of a file that is still to be turned to WAL."""
    file = tmp_path / "new.sqlite"
    with closing(sqlite3.connect(file, isolation_level=None)) as other, ThreadPoolExecutor() as pool:
        other.execute("BEGIN IMMEDIATE")
        opening = pool.submit(Database, f"sqlite:///{file}")
        with pytest.raises(TimeoutError):
            opening.result(timeout=0.5)
        other.execute("COMMIT")
        opening.result().close()


def test_classes_are_read_as_written(database: Database) -> None:
    """A label of several classes is a text; a later one replaces it, also if that is a number."""
    scores = '{"wheat": 0.75, "rye": 0.25}'
    database.write([entry("a")._replace(scores=scores), entry("b")])
    assert [logged.entry.scores for logged in database.read("prod")] == [scores, None]
    word, later = Label("a", "wheat", NOON), Label("a", "rye", NOON + timedelta(days=1))
    assert database.write([], [[word], [later], [word]]) == [
        LabelResult(1, [], []),
        LabelResult(1, [], []),
        LabelResult(0, [], ["a"]),
    ]
    database.write([], [[Label("b", 1.0, NOON)]])
    assert outcomes(database) == {"a": "rye", "b": 1.0}
    database.write([], [[Label("a", 0.0, NOON + timedelta(days=2))]])
    assert outcomes(database) == {"a": 0.0, "b": 1.0}


def test_older_tables_are_migrated(url: str) -> None:
    """With their rows, which stay what they were, and take classes from then on."""
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir()
    engine = create_engine(url)
    with engine.begin() as connection:
        migrate(connection, url, "1")
        row = {"at": "2021-03-31 12:00:00", "features": entry("a").features, "score": 0.1 + 0.2}
        for name in ("a", "b"):
            connection.execute(
                text("INSERT INTO predictions VALUES (:id, 'prod', :at, 'v1.0.0', :features, :score)"),
                row | {"id": name},
            )
        connection.execute(text("INSERT INTO labels VALUES ('a', 1.0, '2021-03-31 12:00:00')"))
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "1"
    engine.dispose()
    with Database(url) as database:
        assert [logged.entry for logged in database.read("prod")] == [entry("a"), entry("b")]
        assert outcomes(database) == {"a": 1.0, "b": None}
        assert database.write([], [[Label("a", 1.0, NOON), Label("b", "rye", NOON)]]) == [
            LabelResult(2, [], [])
        ]
        assert outcomes(database) == {"a": 1.0, "b": "rye"}


def test_older_service_goes_on_in_newer_tables(url: str) -> None:
    """One that was started before writes and labels what it always did: nothing new must be filled."""
    with Database(url) as database:
        with database.engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO predictions (id, stage, at, version, features, score) "
                    "VALUES ('a', 'prod', '2021-03-31 12:00:00', 'v1.0.0', '{}', 0.5)"
                )
            )
            connection.execute(
                text("INSERT INTO labels (id, value, at) VALUES ('a', 1, '2021-03-31 12:00:00')")
            )
        assert outcomes(database) == {"a": 1.0}


def test_newer_tables_are_an_error(url: str, database: Database) -> None:
    """An older Perenne does not use a database that a newer one migrated."""
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '99'"))
    with pytest.raises(PerenneError, match=r"its tables have version 99, made by a newer Perenne"):
        Database(url)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ("data/predictions", "'data/predictions' is not a URL; expected sqlite:///FILE or postgresql"),
        ("mysql://localhost/x", "found 'mysql'; expected sqlite:///FILE"),
        ("sqlite:////dev/null/x", "/dev/null"),
        ("postgresql://me:secret@127.0.0.1:1/x", r"postgresql\+psycopg://me:\*\*\*@127.0.0.1:1/x: .*refused"),
    ],
)
def test_bad_url_is_an_error(wrong: str, line: str) -> None:
    """One line that names the key, without the password."""
    with pytest.raises(PerenneError, match=rf"^serve\.log_url: .*{line}") as caught:
        Database(wrong)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_commits_are_on_the_disk(sqlite: str) -> None:
    """SQLite's default in WAL mode loses the last commits in a power cut."""
    with Database(sqlite) as database, database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
