"""Several classes: the probability of each, and a class as a label."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Add a column to each table, and let a label have no number. SQLite copies its table for that."""
    op.add_column("predictions", sa.Column("scores", sa.Text))
    with op.batch_alter_table("labels") as labels:
        labels.alter_column("value", existing_type=sa.Double, nullable=True)
        labels.add_column(sa.Column("class", sa.Text))


def downgrade() -> None:
    """Drop what was added, and the labels that are classes."""
    op.execute(sa.text('DELETE FROM labels WHERE "class" IS NOT NULL'))
    with op.batch_alter_table("labels") as labels:
        labels.drop_column("class")
        labels.alter_column("value", existing_type=sa.Double, nullable=False)
    with op.batch_alter_table("predictions") as predictions:
        predictions.drop_column("scores")
