"""Insert predictions by the driver alone: what SQLAlchemy does around a statement takes longer than it.

The statements are few and their texts are fixed, so that the database prepares each of them once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg
from pydantic_core import to_json

from perenne.serving.log.records import Entry

MOST_ROWS = 1024  # in one statement of SQLite, a power of two: it takes at most 32,766 values
COLUMNS = ", ".join(Entry._fields)
ONE_ROW = f"({', '.join('?' * len(Entry._fields))})"


class Statement(NamedTuple):
    """A statement in SQL, and the values of its parameters."""

    text: str
    values: tuple[object, ...]


Statements = Callable[[Sequence[Entry]], Iterator[Statement]]


def in_sqlite(entries: Sequence[Entry]) -> Iterator[Statement]:
    """The statements that insert predictions into SQLite; an id and stage that are there already are left.

    The numbers of rows are powers of two, so there are few texts; the last row is repeated to make up for
    what is missing. While a statement runs, so do the other threads of the process, and once it has ended
    this one may have to wait for them: few statements are best.

    Parameters
    ----------
    entries
        At least one.

    """
    for start in range(0, len(entries), MOST_ROWS):
        values: list[object] = []
        for id_, at, *others in entries[start : start + MOST_ROWS]:
            values += (id_, utc(at).isoformat(" ", "microseconds"), *others)  # as SQLAlchemy writes a time
        width = len(Entry._fields)
        count = len(values) // width
        wanted = 1 << (count - 1).bit_length()
        yield Statement(SQLITE[wanted], (*values, *values[-width:] * (wanted - count)))


def in_postgresql(entries: Sequence[Entry]) -> Iterator[Statement]:
    """The statement that does the same in PostgreSQL: one, with a list in JSON for each column.

    Lists of PostgreSQL's own, or a statement for each row, take psycopg several times as long to write, and
    rows in JSON the server twice as long to read.

    Parameters
    ----------
    entries
        At least one.

    """
    columns = zip(*(entry._replace(at=utc(entry.at)) for entry in entries), strict=True)
    yield Statement(POSTGRESQL, tuple(to_json(one, inf_nan_mode="strings").decode() for one in columns))


def utc(at: datetime) -> datetime:
    """A time as the log's tables have it: in UTC, without a zone."""
    return (at if at.tzinfo is UTC else at.astimezone(UTC)).replace(tzinfo=None)


SQLITE = {
    1 << power: f"INSERT INTO predictions ({COLUMNS}) VALUES {', '.join([ONE_ROW] * (1 << power))} "  # noqa: S608 -- of our own words
    "ON CONFLICT DO NOTHING"
    for power in range(MOST_ROWS.bit_length())
}
TYPES = {"at": "timestamp", "score": "float8"}  # of columns that are not text
SELECTED = ", ".join(f"{name}::{TYPES.get(name, 'text')}" for name in Entry._fields)
LISTS = ", ".join(["json_array_elements_text(%s::json)"] * len(Entry._fields))
POSTGRESQL = (
    f"INSERT INTO predictions ({COLUMNS}) SELECT {SELECTED} FROM ROWS FROM ({LISTS}) AS r ({COLUMNS}) "  # noqa: S608 -- of our own words
    "ON CONFLICT DO NOTHING"
)
STATEMENTS: Mapping[str, Statements] = {"sqlite": in_sqlite, "postgresql": in_postgresql}


# A connection of either driver: `Database` knows which.
def insert(connection: Any, entries: Sequence[Entry]) -> int:
    """Insert predictions in a transaction of their own; return how many are new.

    Parameters
    ----------
    connection
        The driver's own, outside of a transaction. After an error it may be in one, which failed.
    entries
        At least one.

    Raises
    ------
    sqlite3.Error, psycopg.Error
        If the database fails: nothing is stored then, unless the connection broke during the commit.

    """
    if isinstance(connection, psycopg.Connection):
        return _committed_at_once(connection, entries)
    assert isinstance(connection, sqlite3.Connection)  # noqa: S101 -- there are two
    if len(entries) <= MOST_ROWS:  # a statement by itself is a transaction
        (statement,) = in_sqlite(entries)
        return connection.execute(*statement).rowcount
    connection.execute("BEGIN IMMEDIATE")
    new = sum(connection.execute(*statement).rowcount for statement in in_sqlite(entries))
    connection.execute("COMMIT")
    return new


def _committed_at_once(connection: psycopg.Connection[Any], entries: Sequence[Entry]) -> int:
    """A statement by itself is a transaction: one message to the server instead of three."""
    connection.autocommit = True
    try:
        (statement,) = in_postgresql(entries)
        return connection.execute(*statement).rowcount
    finally:
        if not connection.closed:
            connection.autocommit = False
