"""Add codes for joining and checkpoints."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the store forward."""
    op.create_table(
        "checkpoints",
        sa.Column("checkpoint_id", BIG, nullable=False),
        sa.Column("taken_at", BIG, nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("heads", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("checkpoint_id", name=op.f("pk_checkpoints")),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_table(
        "join_codes",
        sa.Column("lookup", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("stretched_key", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", BIG, nullable=False),
        sa.Column("wrong_answers", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["devices.device_id"], name=op.f("fk_join_codes_device_id")),
        sa.PrimaryKeyConstraint("lookup", name=op.f("pk_join_codes")),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_table("join_codes")
    op.drop_table("checkpoints")
