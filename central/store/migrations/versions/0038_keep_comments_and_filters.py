"""Keep comments on doubts and named lists of doubts, and find what changed since a moment."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0038"
down_revision: str | None = "0037"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the store forward."""
    op.create_table(
        "doubt_comments",
        sa.Column("comment_id", sa.Text(), nullable=False),
        sa.Column("doubt_id", sa.Text(), nullable=False),
        sa.Column("of_institution", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["doubt_id"], ["doubts.doubt_id"], name="fk_doubt_comments_doubt_id"),
        sa.PrimaryKeyConstraint("comment_id", name="pk_doubt_comments"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_index("ix_doubt_comments_doubt_id", "doubt_comments", ["doubt_id"])
    op.create_table(
        "doubt_filters",
        sa.Column("filter_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("saved_at", BIG, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_doubt_filters_account_id"),
        sa.PrimaryKeyConstraint("filter_id", name="pk_doubt_filters"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_index("ix_doubt_filters_account_id", "doubt_filters", ["account_id"])
    op.create_index("ix_doubts_changed_at", "doubts", ["changed_at"])


def downgrade() -> None:
    """Take them back."""
    op.drop_index("ix_doubts_changed_at", "doubts")
    op.drop_table("doubt_filters")
    op.drop_table("doubt_comments")
