"""Know since when a device has belonged to its shard, and over which it last spoke."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the store forward; no device has been told of another shard yet."""
    op.add_column("devices", sa.Column("reassigned_at", BIG, nullable=True))
    op.add_column("device_status", sa.Column("shard", sa.Text(), nullable=True))


def downgrade() -> None:
    """Take it back."""
    op.drop_column("device_status", "shard")
    op.drop_column("devices", "reassigned_at")
