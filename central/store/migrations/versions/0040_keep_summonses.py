"""Keep summonses of institutions below the in-bed threshold, each with its signed journal."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0040"
down_revision: str | None = "0039"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the store forward; nobody was summoned by it yet."""
    op.create_table(
        "summonses",
        sa.Column("summons_id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("issued_at", BIG, nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("summons_id", name="pk_summonses"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_index("ix_summonses_institution_id", "summonses", ["institution_id"])
    op.create_table(
        "summons_journal",
        sa.Column("summons_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["summons_id"], ["summonses.summons_id"], name="fk_summons_journal_summons_id"
        ),
        sa.PrimaryKeyConstraint("summons_id", "number", name="pk_summons_journal"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )


def downgrade() -> None:
    """Take them back."""
    op.drop_table("summons_journal")
    op.drop_table("summonses")
