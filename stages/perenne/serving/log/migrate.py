"""The versions of the log's tables: whoever opens a database brings it to the newest one."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from perenne.common.errors import PerenneError

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 7_365_621_094  # an arbitrary number, the advisory lock for migrations in PostgreSQL


def migrate(connection: Connection, name: str, to: str = "head") -> None:
    """Migrate the tables under a lock: of two processes that open the log at once, one migrates.

    Parameters
    ----------
    connection
        In a transaction.
    name
        What an error calls the database.
    to
        A version of the tables.

    Raises
    ------
    PerenneError
        If a newer Perenne migrated them.

    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        raise PerenneError(
            f"serve.log_url: {name}: its tables have version {current}, made by a newer Perenne; "
            f"this one knows versions up to {max(known, key=int)}"
        )
    command.upgrade(config, to)
