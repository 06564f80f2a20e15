"""Keep the serials of the certificates that devices got, so that a revoked one can be named to the broker."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Bring the store forward."""
    op.create_table(
        "device_certificates",
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.device_id"], name=op.f("fk_device_certificates_device_id")
        ),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_device_certificates")),
        sqlite_strict=True,
    )
    op.create_index("ix_device_certificates_device_id", "device_certificates", ["device_id"], unique=False)


def downgrade() -> None:
    """Take it back."""
    op.drop_table("device_certificates")
