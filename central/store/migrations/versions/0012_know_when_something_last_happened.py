"""Know when something last happened, and what devices say of their interval and certificate."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
REAL: sa.types.TypeEngine[float] = sa.Double().with_variant(sa.REAL(), "sqlite")


def upgrade() -> None:
    """Bring the store forward; what devices have not said yet stays unknown."""
    op.create_table(
        "last_times",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_last_times"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.add_column("device_status", sa.Column("status_seconds", REAL, nullable=True))
    op.add_column("device_status", sa.Column("certificate_until", BIG, nullable=True))
    op.create_index(op.f("ix_device_clocks_received_at"), "device_clocks", ["received_at"])


def downgrade() -> None:
    """Take it back."""
    op.drop_index(op.f("ix_device_clocks_received_at"), "device_clocks")
    for name in ("certificate_until", "status_seconds"):
        op.drop_column("device_status", name)
    op.drop_table("last_times")
