"""Keep the devices' signed batches behind frozen evidence."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0021"
down_revision: str | None = "0020"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Bring the store forward; evidence frozen before names no batch."""
    op.create_table(
        "frozen_batches",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_frozen_batches"),
        sqlite_strict=True,
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_table("frozen_batches")
