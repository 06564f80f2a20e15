"""Keep the runs of machines that gateways signed."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0039"
down_revision: str | None = "0038"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the store forward; no gateway has told anything yet."""
    op.create_table(
        "machine_runs",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("sequence", BIG, autoincrement=False, nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("machine_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=True),
        sa.Column("started_at", BIG, nullable=False),
        sa.Column("ended_at", BIG, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("serial_number", sa.Text(), nullable=True),
        sa.Column("accession_number", sa.Text(), nullable=True),
        sa.Column("received_at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("device_id", "sequence", name="pk_machine_runs"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    for column in ("person_id", "started_at"):
        op.create_index(f"ix_machine_runs_{column}", "machine_runs", [column])


def downgrade() -> None:
    """Take them back."""
    op.drop_table("machine_runs")
