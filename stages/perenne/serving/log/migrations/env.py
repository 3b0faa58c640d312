"""Alembic runs this to migrate a database, on the given connection and in its transaction."""

from __future__ import annotations

from alembic import context

from perenne.serving.log.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
