"""List lines by ward, doctor and device; keep what later runs changed, and lists that have a name."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the store forward; verdicts of runs before know neither ward, doctor nor device."""
    for name in ("ward", "doctor_id", "devices"):
        op.add_column("verdicts", sa.Column(name, sa.Text()))
    op.create_index("ix_findings_run_id_institution_id", "findings", ["run_id", "institution_id"])
    op.create_table(
        "verdict_changes",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("changed_at", BIG, nullable=False),
        sa.Column("service_day", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("amount_fen", BIG, nullable=False),
        sa.Column("verdict_before", sa.Text(), nullable=False),
        sa.Column("reason_before", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "institution_id", "line_id", name="pk_verdict_changes"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_index("ix_verdict_changes_changed_at", "verdict_changes", ["changed_at"])
    op.create_table(
        "saved_views",
        sa.Column("view_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("saved_at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("view_id", name="pk_saved_views"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_table("saved_views")
    op.drop_index("ix_verdict_changes_changed_at", "verdict_changes")
    op.drop_table("verdict_changes")
    op.drop_index("ix_findings_run_id_institution_id", "findings")
    for name in ("devices", "doctor_id", "ward"):
        op.drop_column("verdicts", name)
