"""Let keys follow one another."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the store forward."""
    op.add_column("device_keys", sa.Column("from_sequence", BIG, server_default="1", nullable=False))
    op.add_column("device_keys", sa.Column("until_sequence", BIG, nullable=True))
    op.add_column("device_keys", sa.Column("rotated_from", sa.Text(), nullable=True))


def downgrade() -> None:
    """Take it back."""
    op.drop_column("device_keys", "rotated_from")
    op.drop_column("device_keys", "until_sequence")
    op.drop_column("device_keys", "from_sequence")
