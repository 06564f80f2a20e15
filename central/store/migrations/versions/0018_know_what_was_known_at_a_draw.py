"""Know which leaves were known at a draw, and when a merge put an event under another visit."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0018"
down_revision: str | None = "0017"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the store forward; of earlier rounds and merges neither is known."""
    op.add_column("round_checks", sa.Column("away", sa.Text(), nullable=True))
    op.add_column("stay_events", sa.Column("joined_at", BIG, nullable=True))
