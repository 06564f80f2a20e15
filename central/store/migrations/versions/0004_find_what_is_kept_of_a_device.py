"""Find what is kept of a device."""

from collections.abc import Sequence

from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Bring the store forward."""
    op.create_index("ix_quarantine_device_id", "quarantine", ["device_id"], unique=False)


def downgrade() -> None:
    """Take it back."""
    op.drop_index("ix_quarantine_device_id", table_name="quarantine")
