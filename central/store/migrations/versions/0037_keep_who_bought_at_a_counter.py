"""Keep who bought at counters, for whom, and how that was established."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0037"
down_revision: str | None = "0036"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INDEXED = ("person_id", "occurred_at", "holder_id", "buyer_id")


def upgrade() -> None:
    """Bring the store forward; no counter has told anything yet."""
    op.create_table(
        "counter_identifications",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("sequence", BIG, autoincrement=False, nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("occurred_at", BIG, nullable=False),
        sa.Column("received_at", BIG, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("pad", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("relation", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("both_papers", sa.Integer(), nullable=False),
        sa.Column("holder_id", sa.Text(), nullable=False),
        sa.Column("buyer_id", sa.Text(), nullable=True),
        sa.Column("clerk_id", sa.Text(), nullable=False),
        sa.Column("witness_id", sa.Text(), nullable=True),
        sa.Column("terminal_reference", sa.Text(), nullable=True),
        sa.Column("purchase_id", sa.Text(), nullable=False),
        sa.Column("clock_trusted", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("device_id", "sequence", name="pk_counter_identifications"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    for column in INDEXED:
        op.create_index(f"ix_counter_identifications_{column}", "counter_identifications", [column])


def downgrade() -> None:
    """Take them back."""
    op.drop_table("counter_identifications")
