"""The database of the log: SQLite in WAL mode beside the service, or PostgreSQL by its URL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from perenne.common.errors import PerenneError
from perenne.serving.log.records import Entry, Label, LabelResult
from perenne.serving.log.schema import labels, predictions

MIGRATIONS = Path(__file__).parent / "migrations"
VALID = "sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE"
PIECE = 1_000  # rows that are read at a time, ids that are asked for at once
WAIT = 5  # seconds, for whoever else writes to the SQLite file, and for PostgreSQL to take a connection
LOCK = 7_365_621_094  # any number that nobody else locks in the same PostgreSQL database
INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

# Each commit is on the disk before it returns: else a power cut takes acknowledged predictions with it.
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")


class Logged(NamedTuple):
    """A prediction with its label, None as long as there is none."""

    entry: Entry
    label: float | None


class Store:
    """What is read and written, each in one transaction; the tables are brought up to date first.

    Raises
    ------
    PerenneError
        If the URL is of no database that is known, it cannot be reached, or a newer Perenne has been at it.

    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self._insert = INSERT[self.engine.dialect.name]
        self.name = self.engine.url.render_as_string(hide_password=True)
        try:
            with self.engine.begin() as connection:
                _migrate(connection, self.name)
        except SQLAlchemyError as error:
            raise PerenneError(f"serve.log_url: {self.name}: {reason(error)}") from error
        finally:
            self.close()  # connections come back when they are needed, in the thread that needs them

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, entries: Sequence[Entry], told: Sequence[Sequence[Label]] = ()) -> list[LabelResult]:
        """Commit predictions, and after them labels; return what became of each list of labels.

        Written twice is written once: whoever does not know whether a commit went through may repeat it.
        """
        with self.engine.begin() as connection:
            if entries:
                kept = self._insert(predictions).on_conflict_do_nothing()
                connection.execute(kept, [entry._asdict() for entry in entries])
            return [self._label(connection, found) for found in told]

    def read(self, stage: str) -> Iterator[Logged]:
        """The predictions of a stage with their labels, by time, without holding all of them."""
        wanted = (
            select(*(predictions.c[name] for name in Entry._fields), labels.c.value)
            .join_from(predictions, labels, predictions.c.id == labels.c.id, isouter=True)
            .where(predictions.c.stage == stage)
            .order_by(predictions.c.at, predictions.c.id)
        )
        with self.engine.connect().execution_options(yield_per=PIECE) as connection:
            for row in connection.execute(wanted):
                *entry, label = row
                yield Logged(Entry(*entry), label)

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    def _label(self, connection: Connection, told: Sequence[Label]) -> LabelResult:
        """Keep labels. Of two that contradict each other the one known later counts, whichever comes first.

        So late, twice, or in another order is the same.
        """
        known = _known(connection, {label.id for label in told if _can_be(label.id)})
        # In PostgreSQL one statement may change a row once only: of two for one id, the one that would win.
        latest = {label.id: label for label in sorted(told, key=_later) if label.id in known}
        if latest:
            new = self._insert(labels)
            later = (new.excluded.at > labels.c.at) | (
                (new.excluded.at == labels.c.at) & (new.excluded.value > labels.c.value)
            )
            kept = new.on_conflict_do_update(
                index_elements=[labels.c.id],
                set_={"value": new.excluded.value, "at": new.excluded.at},
                where=later,
            )
            connection.execute(kept, [label._asdict() for label in latest.values()])
        unknown = [label.id for label in told if label.id not in known]
        return LabelResult(len(told) - len(unknown), list(dict.fromkeys(unknown)))


def reason(error: SQLAlchemyError) -> str:
    """Why the database would not, in its own words and one line, without the statement and its values."""
    said = str(getattr(error, "orig", None) or error)
    return " ".join(said.split())[:200]


def _later(label: Label) -> tuple[Any, float]:
    return label.at, label.value


def _can_be(name: str) -> bool:
    """Whether a prediction can have this id: PostgreSQL takes no text with a NUL in it."""
    return "\0" not in name


def _known(connection: Connection, ids: set[str]) -> set[str]:
    found: set[str] = set()
    every = sorted(ids)
    for first in range(0, len(every), PIECE):
        wanted = select(predictions.c.id).where(predictions.c.id.in_(every[first : first + PIECE]))
        found |= set(connection.execute(wanted).scalars())
    return found


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise PerenneError(f"serve.log_url: {url!r} is no URL; write it like {VALID}") from error
    kind = parsed.get_backend_name()
    if kind == "sqlite" and parsed.database:
        folder = Path(parsed.database).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PerenneError(
                f"serve.log_url: {folder}: {error.strerror}; name a folder that can be"
            ) from error
        engine = create_engine(parsed, connect_args={"timeout": WAIT})
        event.listen(engine, "connect", _durable)
        event.listen(engine, "begin", _begin)
        return engine
    if kind == "postgresql":
        own = parsed.set(drivername="postgresql+psycopg")
        return create_engine(own, connect_args={"connect_timeout": WAIT}, pool_pre_ping=True)
    raise PerenneError(f"serve.log_url: found {parsed.drivername!r}; write it like {VALID}")


def _durable(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions begin as `_begin` says, not where Python guesses
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    """Ask for the right to write at once: who reads first and writes then may find that it has gone."""
    reading = connection.get_execution_options().get("yield_per")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _migrate(connection: Connection, name: str) -> None:
    """Bring the tables up to date, alone: of two that open the log at once, the second finds all done."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in known:
        raise PerenneError(
            f"serve.log_url: {name}: its tables are of version {found}, which a newer Perenne made; "
            f"this one knows up to {max(known, key=int)}"
        )
    command.upgrade(config, "head")
