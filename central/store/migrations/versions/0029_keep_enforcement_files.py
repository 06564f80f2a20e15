"""Keep enforcement files and their journals."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0029"
down_revision: str | None = "0028"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OF_KEYS = {"sqlite_with_rowid": False, "sqlite_strict": True}


def upgrade() -> None:
    """Bring the store forward; there is no file yet."""
    op.create_table(
        "penalties",
        sa.Column("penalty_id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("due_at", BIG, nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("penalty_id", name="pk_penalties"),
        **OF_KEYS,
    )
    op.create_index("ix_penalties_institution_id", "penalties", ["institution_id"])
    op.create_table(
        "penalty_journal",
        sa.Column("penalty_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["penalty_id"], ["penalties.penalty_id"], name="fk_penalty_journal_penalty_id"
        ),
        sa.PrimaryKeyConstraint("penalty_id", "number", name="pk_penalty_journal"),
        **OF_KEYS,
    )


def downgrade() -> None:
    """Take them back."""
    op.drop_table("penalty_journal")
    op.drop_table("penalties")
