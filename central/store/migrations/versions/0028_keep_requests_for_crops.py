"""Keep requests for crops."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0028"
down_revision: str | None = "0027"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the store forward."""
    texts = ("request_id", "subject", "subject_id", "purpose", "event_id", "device_id", "institution_id")
    moments = ("allowed_at", "refused_at", "answered_at", "shown_at", "deleted_at")
    op.create_table(
        "crop_requests",
        *(sa.Column(name, sa.Text(), nullable=False) for name in (*texts, "person_id", "asked_by")),
        sa.Column("asked_at", BIG, nullable=False),
        sa.Column("allowed_by", sa.Text(), nullable=True),
        *(sa.Column(name, BIG, nullable=True) for name in moments),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("request_id", name="pk_crop_requests"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_index("ix_crop_requests_person_id", "crop_requests", ["person_id"])


def downgrade() -> None:
    """Take the store back."""
    op.drop_table("crop_requests")
