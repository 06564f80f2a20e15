"""Drop an index that nobody asks: no query looks an event up by its id, and every event paid for it."""

from collections.abc import Sequence

from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Bring the store forward."""
    op.drop_index("ix_attendance_event_id", table_name="attendance")


def downgrade() -> None:
    """Take it back."""
    op.create_index("ix_attendance_event_id", "attendance", ["event_id"], unique=False)
