"""The database of the log: SQLite or PostgreSQL, the same either way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from perenne.common.errors import PerenneError
from perenne.serving.log.records import Entry, Label, LabelResult
from perenne.serving.log.schema import metadata
from perenne.serving.log.store import Store
from tests.project import ROOT

NOON = datetime(2021, 3, 31, 12, tzinfo=UTC)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """Return an empty one."""
    with Store(url) as opened:
        yield opened


def entry(name: str, at: datetime = NOON, stage: str = "prod") -> Entry:
    """A prediction."""
    return Entry(name, at, stage, "v1.0.0", '{"site": "Besançon \\u0000"}', 0.1 + 0.2)


def outcomes(store: Store) -> dict[str, float | None]:
    """The label of each prediction in prod."""
    return {found.entry.id: found.label for found in store.read("prod")}


def test_what_is_read_is_what_was_written(store: Store) -> None:
    """To the last bit, in UTC, by time; each stage has its own."""
    paris = timezone(timedelta(hours=1))
    late, early = entry("b"), entry("c", datetime(2021, 3, 31, 12, 30, 0, 5, tzinfo=paris))
    store.write([late, early, entry("b", stage="shadow")])
    assert [found.entry for found in store.read("prod")] == [early, late]
    assert [found.entry for found in store.read("shadow")] == [entry("b", stage="shadow")]


def test_written_twice_is_there_once(store: Store) -> None:
    """Whoever does not know whether a commit went through writes again; the first one stays."""
    store.write([entry("a")])
    store.write([entry("a")._replace(score=0.9), entry("b")])
    assert [(found.entry.id, found.entry.score) for found in store.read("prod")] == [
        ("a", entry("a").score),
        ("b", entry("b").score),
    ]


def test_label_comes_late_and_twice(store: Store) -> None:
    """The second changes nothing; what no prediction is known by is told, once, and not kept."""
    store.write([entry("a"), entry("b")])
    label = Label("a", 1, NOON)
    assert store.write([], [[label, label]]) == [LabelResult(2, [])]
    stranger = Label("c", 1, NOON)
    assert store.write([], [[label], [stranger, stranger, Label("\0", 1, NOON)]]) == [
        LabelResult(1, []),
        LabelResult(0, ["c", "\0"]),
    ]
    store.write([entry("c")])
    assert outcomes(store) == {"a": 1, "b": None, "c": None}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_label_known_later_counts(order: tuple[int, ...], store: Store) -> None:
    """Whichever comes first: a correction is not undone by a message that was held up."""
    store.write([entry("a")])
    told = [Label("a", 0, NOON), Label("a", 1, NOON), Label("a", 0, NOON + timedelta(days=1))]
    for place in order:
        store.write([], [[told[place]]])
    assert outcomes(store) == {"a": 0}
    store.write([], [[told[2]._replace(value=1)]])
    assert outcomes(store) == {"a": 1}


def test_many_labels_at_once(store: Store) -> None:
    """More than one statement may ask for."""
    names = [f"{n:05}" for n in range(2_500)]
    store.write([entry(name) for name in names])
    assert store.write([], [[Label(name, 1, NOON) for name in [*names, "x"]]]) == [LabelResult(2_500, ["x"])]


def test_migrations_make_the_tables_that_the_code_sees(store: Store) -> None:
    """Alembic itself finds no difference."""
    with store.engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_opened_again_it_is_as_it_was(url: str) -> None:
    """No migration runs twice."""
    with Store(url) as first:
        first.write([entry("a")])
    with Store(url) as second:
        assert list(outcomes(second)) == ["a"]


def test_many_open_it_at_once(url: str) -> None:
    """One makes the tables, the others find them."""
    script = f"from perenne.serving.log.store import Store; Store({url!r})"
    running = [subprocess.Popen([sys.executable, "-c", script], cwd=ROOT) for _ in range(4)]
    assert [process.wait() for process in running] == [0] * 4


def test_newer_tables_are_not_touched(url: str, store: Store) -> None:
    """Who has an old Perenne by mistake is told."""
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '99'"))
    with pytest.raises(PerenneError, match=r"its tables are of version 99, which a newer Perenne made"):
        Store(url)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ("data/predictions", "'data/predictions' is no URL; write it like sqlite:///FILE or postgresql"),
        ("mysql://localhost/x", "found 'mysql'; write it like sqlite:///FILE"),
        ("sqlite:////dev/null/x", "/dev/null"),
        ("postgresql://me:secret@127.0.0.1:1/x", r"postgresql\+psycopg://me:\*\*\*@127.0.0.1:1/x: .*refused"),
    ],
)
def test_what_is_no_database_is_told(wrong: str, line: str) -> None:
    """In a line that names the key, and holds no password."""
    with pytest.raises(PerenneError, match=rf"^serve\.log_url: .*{line}") as caught:
        Store(wrong)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_commits_are_on_the_disk(sqlite: str) -> None:
    """SQLite's own default in WAL mode loses the last ones with the power."""
    with Store(sqlite) as store, store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
