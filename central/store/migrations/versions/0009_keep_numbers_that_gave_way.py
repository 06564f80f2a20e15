"""Keep the numbers of persons and visits that gave way to others, and when a discharge was told."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the store forward."""
    op.create_table(
        "person_aliases",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("alias_of", sa.Text(), nullable=False),
        sa.Column("since", BIG, nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "alias_of", name=op.f("pk_person_aliases")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "visit_renames",
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("visit_id", sa.Text(), nullable=False),
        sa.Column("visit_now", sa.Text(), nullable=False),
        sa.Column("since", BIG, nullable=False),
        sa.PrimaryKeyConstraint("institution_id", "visit_id", name=op.f("pk_visit_renames")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.add_column("stays", sa.Column("discharge_recorded_at", BIG, nullable=True))
    op.execute(
        "UPDATE stays SET discharge_recorded_at = (SELECT max(e.received_at) FROM stay_events e "
        "WHERE e.institution_id = stays.institution_id AND e.visit_id = stays.visit_id "
        "AND e.kind IN ('discharge', 'amend', 'snapshot', 'summary')) WHERE discharged_at IS NOT NULL"
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_column("stays", "discharge_recorded_at")
    op.drop_table("visit_renames")
    op.drop_table("person_aliases")
