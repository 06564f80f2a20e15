"""Know what lies in archives of closed years, and what of it was pruned."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the store forward; nothing is archived yet."""
    op.create_table(
        "archives",
        sa.Column("archive_id", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("manifest_sha256", sa.Text(), nullable=False),
        sa.Column("last_checkpoint", BIG, nullable=False),
        sa.Column("archived_at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("archive_id", name="pk_archives"),
        sa.UniqueConstraint("year", name="uq_archives_year"),
        sqlite_strict=True,
    )
    op.create_table(
        "archived_entries",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("upto_sequence", BIG, nullable=False, autoincrement=False),
        sa.Column("upto_hash", sa.Text(), nullable=False),
        sa.Column("archive_id", sa.Text(), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("pruned_at", BIG),
        sa.PrimaryKeyConstraint("device_id", "upto_sequence", name="pk_archived_entries"),
        sa.ForeignKeyConstraint(
            ["archive_id"], ["archives.archive_id"], name="fk_archived_entries_archive_id"
        ),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_archived_entries_archive_id"), "archived_entries", ["archive_id"])
    op.create_table(
        "archived_hashes",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("first_sequence", BIG, nullable=False, autoincrement=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("device_id", "first_sequence", name="pk_archived_hashes"),
        sqlite_strict=True,
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_table("archived_hashes")
    op.drop_index(op.f("ix_archived_entries_archive_id"), "archived_entries")
    op.drop_table("archived_entries")
    op.drop_table("archives")
