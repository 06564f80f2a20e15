"""Say of a request of a person what exactly it asks for, and which withdrawal a deletion began."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0034"
down_revision: str | None = "0033"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Bring the store forward."""
    op.add_column("privacy_requests", sa.Column("note", sa.Text(), nullable=True))
    op.add_column("privacy_requests", sa.Column("withdrawal_id", sa.Text(), nullable=True))


def downgrade() -> None:
    """Take them back."""
    op.drop_column("privacy_requests", "withdrawal_id")
    op.drop_column("privacy_requests", "note")
