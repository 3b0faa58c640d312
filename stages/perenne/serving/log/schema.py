"""The tables of the log as the code sees them; `migrations/` makes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, DateTime, Double, MetaData, String, Table, Text
from sqlalchemy.types import TypeDecorator

from perenne.serving.log.records import MAX_ID


class Moment(TypeDecorator[datetime]):
    """A time in UTC, stored without a zone: SQLite has no zones, and both databases store the same."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        """To the database."""
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        """From the database."""
        return value.replace(tzinfo=UTC) if value else None


metadata = MetaData()

predictions = Table(
    "predictions",
    metadata,
    Column("id", String(MAX_ID), primary_key=True),
    Column("stage", Text, primary_key=True),  # a shadow scores the rows of prod under the same ids
    Column("at", Moment, nullable=False),
    Column("version", Text, nullable=False),
    Column("features", Text, nullable=False),
    Column("score", Double, nullable=False),
    Column("scores", Text),  # of several classes, as JSON
)

labels = Table(
    "labels",
    metadata,
    Column("id", String(MAX_ID), primary_key=True),
    Column("value", Double),
    Column("class", Text),  # instead of a value, of several classes
    Column("at", Moment, nullable=False),
)
