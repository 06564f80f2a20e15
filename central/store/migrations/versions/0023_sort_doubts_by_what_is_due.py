"""Sort doubts by what is due next."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0023"
down_revision: str | None = "0022"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
DATES = sa.text(
    "UPDATE doubts SET due_at = (SELECT due_at FROM cases WHERE cases.case_id = doubts.case_id) "
    "WHERE state IN ('issued', 'assigned', 'answered')"
)


def upgrade() -> None:
    """Bring the store forward; doubts with an institution get their case's date."""
    op.add_column("doubts", sa.Column("due_at", BIG, nullable=True))
    op.create_index("ix_doubts_due_at", "doubts", ["due_at"])
    op.execute(DATES)


def downgrade() -> None:
    """Take it back."""
    op.drop_index("ix_doubts_due_at", "doubts")
    op.drop_column("doubts", "due_at")
