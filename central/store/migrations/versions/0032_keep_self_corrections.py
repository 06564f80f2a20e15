"""Keep what institutions have found and returned themselves, with the proof of each return."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0032"
down_revision: str | None = "0031"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the store forward; there are none yet."""
    op.create_table(
        "self_corrections",
        sa.Column("correction_id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("amount_fen", BIG, nullable=False),
        sa.Column("declared_at", BIG, nullable=False),
        sa.Column("declared_by", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("proof", sa.Text(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("proven_at", BIG, nullable=True),
        sa.Column("proven_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("correction_id", name="pk_self_corrections"),
        sa.UniqueConstraint("institution_id", "line_id", name="uq_self_corrections_institution_id"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )


def downgrade() -> None:
    """Take them back."""
    op.drop_table("self_corrections")
