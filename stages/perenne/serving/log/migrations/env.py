"""What alembic runs to change a database: on the connection that it is given, in its transaction."""

from __future__ import annotations

from alembic import context

from perenne.serving.log.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
