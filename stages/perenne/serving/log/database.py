"""The log's database: SQLite in WAL mode beside the service, or PostgreSQL by its URL."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import (
    Column,
    Connection,
    Dialect,
    Engine,
    Row,
    Select,
    Table,
    create_engine,
    delete,
    event,
    make_url,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from perenne.common.errors import PerenneError
from perenne.serving.log.insert import STATEMENTS, insert
from perenne.serving.log.migrate import migrate
from perenne.serving.log.records import SKEW, Entry, Label, LabelResult
from perenne.serving.log.schema import labels, predictions
from perenne.serving.log.turn import Turn, synced_by_turn

VALID = "sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE"
CHUNK = 1_000  # rows read at a time, ids per query
WAIT = (
    3  # seconds: for another writer of the SQLite file, to connect to PostgreSQL, and for each of its answers
)
PROBE = "probe"  # the id and the stage of a row that is written only to see whether rows can be written
Identity = tuple[tuple[int, int] | None, ...]  # device and inode of each file
NO_LABELS = LabelResult(0, [], [])
INSERTING = "INSERT INTO predictions"  # what an error calls the statement
Upsert = sqlite.Insert | postgresql.Insert
UPSERT: dict[str, Callable[[Table], Upsert]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

# A commit is on disk before it returns: otherwise a power cut would lose acknowledged predictions.
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")


class Logged(NamedTuple):
    """A prediction with its label; None if it is not known yet."""

    entry: Entry
    label: float | str | None


class Database:
    """Reads and writes the log, each call in one transaction. Opening it migrates the tables.

    Parameters
    ----------
    url
        Of SQLite (`sqlite:///FILE`) or PostgreSQL (`postgresql+psycopg://...`).
    prompt
        Whether PostgreSQL must answer each statement within `WAIT` seconds. The service needs this; a
        migration and the export of a large log may take longer.
    in_turn
        Whether other processes write all the time as well: with SQLite they take turns, see `Turn`, and in
        each of them only one thread may write.

    Raises
    ------
    PerenneError
        If the URL is not of such a database, the database cannot be opened, or a newer Perenne migrated it.

    """

    def __init__(self, url: str, *, prompt: bool = False, in_turn: bool = False) -> None:
        self.engine = _engine(url)
        self._upsert = UPSERT[self.engine.dialect.name]
        self.name = self.engine.url.render_as_string(hide_password=True)
        self._turn: Turn | None = None
        if in_turn and self._file:
            self._turn = Turn(self._file)
            event.listen(self.engine, "connect", synced_by_turn)
        self._opened: Identity | None = None  # of SQLite's files; None if they are to be opened again
        try:
            self._open()
        except SQLAlchemyError as error:
            raise PerenneError(f"serve.log_url: {self.name}: {reason(error)}") from error
        if self.engine.dialect.name == "postgresql":
            self.close()  # what migrates may wait
            if prompt:
                event.listen(self.engine, "do_connect", _connect_promptly)
                event.listen(self.engine, "connect", _limit_statements)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(
        self, entries: Sequence[Entry], label_lists: Sequence[Sequence[Label]] = ()
    ) -> list[LabelResult]:
        """Commit predictions, then labels; return one result for each list of labels.

        The call is idempotent: it may be repeated if it is not known whether the commit succeeded.

        Parameters
        ----------
        entries
            Predictions. One whose id and stage are in the log already is ignored.
        label_lists
            Labels, one list for each request. Of two for one id the one known later wins, of two known at the
            same time the one that is written last.

        Raises
        ------
        SQLAlchemyError
            If the database fails; nothing is stored then, unless the connection broke during the commit. Also
            if its file was removed or replaced: the next call opens what is there then.

        """
        if not any(label_lists):
            if entries:
                self.add(entries)
            return [NO_LABELS for _ in label_lists]
        with self._transaction() as connection:
            if entries:
                for statement in STATEMENTS[self.engine.dialect.name](entries):
                    connection.exec_driver_sql(*statement)
            return [self._label(connection, given) if given else NO_LABELS for given in label_lists]

    def add(self, entries: Sequence[Entry]) -> int:
        """Commit predictions; return how many are new: one whose id and stage are in the log is ignored.

        Parameters
        ----------
        entries
            At least one.

        Raises
        ------
        SQLAlchemyError
            As `write`.

        """
        with self._committing(), closing(self.engine.raw_connection()) as pooled:
            connection = pooled.driver_connection
            try:
                return insert(connection, entries)
            except Exception as error:
                if isinstance(connection, psycopg.Connection) and connection.closed:
                    pooled.invalidate(error)
                of_driver = sqlite3.Error if isinstance(error, sqlite3.Error) else psycopg.Error
                raise DBAPIError.instance(INSERTING, None, error, of_driver) from error

    def probe(self, size: int) -> None:
        """Commit a row, and remove it.

        Only a write shows whether rows can be written: a full disk still answers queries, and takes a row
        that fits into what is allocated.

        Parameters
        ----------
        size
            Of the row, in bytes: about that of the write that failed.

        Raises
        ------
        SQLAlchemyError
            If the database fails.

        """
        remove = delete(predictions).where(predictions.c.id == PROBE, predictions.c.stage == PROBE)
        row = Entry(PROBE, datetime.now(UTC), PROBE, PROBE, " " * size, 0.0)
        with self._transaction() as connection:
            connection.execute(remove)  # of a process that was killed between the two commits
            connection.execute(predictions.insert(), row._asdict())
        with self._transaction() as connection:
            connection.execute(remove)

    def read(self, stage: str) -> Iterator[Logged]:
        """The predictions of a stage with their labels, in order of time, streamed.

        Parameters
        ----------
        stage
            The stage in the log, such as prod or shadow.

        """
        query = (
            select(*(predictions.c[name] for name in Entry._fields), labels.c.value, labels.c["class"])
            .join_from(predictions, labels, predictions.c.id == labels.c.id, isouter=True)
            .where(predictions.c.stage == stage)
            .order_by(predictions.c.at, predictions.c.id)
        )
        with self.engine.connect().execution_options(yield_per=CHUNK) as connection:
            for row in connection.execute(query):
                *entry, value, name = row
                yield Logged(Entry(*entry), value if name is None else name)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        if self._turn:
            self._turn.close()

    def _open(self) -> None:
        """Migrate the tables, and keep a connection of SQLite: what it has open is what is written."""
        try:
            with self.engine.begin() as connection:
                migrate(connection, self.name)
            self._opened = self._identity()
        except Exception:
            self.close()
            raise

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """A transaction in the files that were opened."""
        with self._committing(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _committing(self) -> Iterator[None]:
        """Commit in the files that were opened; on return what was committed is on disk."""
        with self._same_files():
            if not self._turn:
                yield
                return
            with self._turn.taken():
                yield
            try:
                self._turn.sync()
            except OSError:
                self._checkpoint()  # what a second attempt finds there need not be on disk
                raise

    @contextmanager
    def _same_files(self) -> Iterator[None]:
        """Write in the files that were opened, if their names still mean them.

        SQLite writes on in a file that was removed or renamed, and says nothing.
        """
        if self._opened is None:
            self._open()
        self._check()
        try:
            yield
        finally:
            self._check()  # it may have happened meanwhile

    def _check(self) -> None:
        if self._identity() == self._opened:
            return
        # Each row goes into the file that it was written to, wherever that is now, and not into another one.
        self._checkpoint()
        self.close()
        self._opened = None
        raise FileMovedError("the file was removed or replaced; it is opened again")

    def _checkpoint(self) -> None:
        with suppress(SQLAlchemyError, sqlite3.Error), closing(self.engine.raw_connection()) as old:
            old.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @property
    def _file(self) -> str | None:
        """Of SQLite."""
        return self.engine.url.database if self.engine.dialect.name == "sqlite" else None

    def _identity(self) -> Identity:
        """What the names of SQLite's files mean now, the database and its write-ahead log."""
        if not (name := self._file):
            return ()
        return _inode(name), _inode(f"{name}-wal")

    def _label(self, connection: Connection, given: Sequence[Label]) -> LabelResult:
        """Store labels. Of two for one id the one known later wins, in whatever order they arrive."""
        known = {id_ for (id_,) in _rows(connection, select(predictions.c.id), predictions.c.id, given)}
        # A statement may change a row only once in PostgreSQL, so of several for one id the last is kept.
        latest = {label.id: label for label in sorted(given, key=lambda label: label.at) if label.id in known}
        if latest:
            new = self._upsert(labels)
            # What claims to be from the future must not stay for ever: it gives way to any other label.
            wins = (new.excluded.at >= labels.c.at) | (labels.c.at > datetime.now(UTC) + SKEW)
            kept = new.on_conflict_do_update(
                index_elements=[labels.c.id],
                set_={name: new.excluded[name] for name in ("value", "class", "at")},
                where=wins,
            )
            connection.execute(kept, [_columns(label) for label in latest.values()])
        wanted = [*latest.values()]
        stored = {_label(row) for row in _rows(connection, select(labels), labels.c.id, wanted)}
        superseded = [label.id for label in latest.values() if label not in stored]
        unknown = dict.fromkeys(label.id for label in given if label.id not in known)
        return LabelResult(len(latest) - len(superseded), list(unknown), superseded)


class FileMovedError(SQLAlchemyError):
    """The file of SQLite is not the one that was opened."""


def _inode(file: str) -> tuple[int, int] | None:
    try:
        found = os.stat(file)  # noqa: PTH116 -- four times for each commit, and a path takes twice as long
    except OSError:
        return None
    return found.st_dev, found.st_ino


def reason(error: SQLAlchemyError) -> str:
    """The database's own message in one line, without the statement and its values."""
    message = str(getattr(error, "orig", None) or error)
    return " ".join(message.split())[:200]


def _columns(label: Label) -> dict[str, object]:
    """A label as its table has it."""
    named = isinstance(label.value, str)
    return {
        "id": label.id,
        "value": None if named else label.value,
        "class": label.value if named else None,
        "at": label.at,
    }


def _label(row: Row[Any]) -> Label:
    """A label of its table's row."""
    name = row._mapping["class"]
    return Label(row.id, row.value if name is None else name, row.at)


def _is_possible_id(text: str) -> bool:
    """Whether a prediction can have this id: PostgreSQL rejects text with a NUL."""
    return "\0" not in text


def _rows(
    connection: Connection, query: Select[Any], column: Column[str], of: Sequence[Label]
) -> Iterator[Row[Any]]:
    """The rows of a query whose column has the id of one of the labels."""
    every = sorted({label.id for label in of if _is_possible_id(label.id)})
    for first in range(0, len(every), CHUNK):
        yield from connection.execute(query.where(column.in_(every[first : first + CHUNK])))


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise PerenneError(f"serve.log_url: {url!r} is not a URL; expected {VALID}") from error
    kind = parsed.get_backend_name()
    if kind == "sqlite" and parsed.database:
        folder = Path(parsed.database).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PerenneError(
                f"serve.log_url: {folder}: {error.strerror}; choose a folder that can be created"
            ) from error
        engine = create_engine(parsed, connect_args={"timeout": WAIT})
        event.listen(engine, "connect", _durable)
        event.listen(engine, "begin", _begin)
        return engine
    if kind == "postgresql":
        own = parsed.set(drivername="postgresql+psycopg")
        # Whoever writes tries again if a connection has died meanwhile: nobody asks before each statement.
        return create_engine(own, connect_args={"connect_timeout": WAIT})
    raise PerenneError(f"serve.log_url: found {parsed.drivername!r}; expected {VALID}")


class PromptConnection(psycopg.Connection[Any]):
    """A connection that is given up if the server does not answer within `WAIT` seconds.

    The operating system would wait for many minutes, and without end if a proxy still takes the packets.
    """

    # The generator's type is whatever the statement returns.
    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer; a `psycopg.OperationalError` if there is none in time."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        until = time.monotonic() + WAIT
        try:
            return super().wait(gen, interval, WAIT)
        except psycopg.OperationalError as error:
            if time.monotonic() < until:
                raise
            self.pgconn.finish()  # what it still waits for is unknown
            raise psycopg.OperationalError(f"the server did not answer within {WAIT} s") from error


# What a URL says, in psycopg's own options.
def _connect_promptly(
    _dialect: Dialect, _record: object, arguments: list[str], options: dict[str, Any]
) -> PromptConnection:
    return PromptConnection.connect(*arguments, **options)


def _limit_statements(connection: PromptConnection, _: object) -> None:
    """Let the server itself end a statement that waits, such as for a lock: nobody waits for it any more."""
    connection.execute(f"SET statement_timeout = {1_000 * WAIT}")
    connection.commit()


def _durable(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # `_begin` starts transactions, not Python
    until = time.monotonic() + WAIT
    for pragma in PRAGMAS:
        while not _set(connection, pragma, until):
            time.sleep(0.01)


def _set(connection: sqlite3.Connection, pragma: str, until: float) -> bool:
    """Set a pragma; False if another process is turning the same file to WAL: SQLite does not wait for it."""
    try:
        connection.execute(f"PRAGMA {pragma}").close()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
            raise
        return False
    return True


def _begin(connection: Connection) -> None:
    """Take the write lock at once: a transaction that reads first may fail to get it later."""
    reading = connection.get_execution_options().get("yield_per")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
