"""Know for how many devices the broker's files were made."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the store forward; of files made before nothing is known."""
    op.create_table(
        "broker_configs",
        sa.Column("config_id", BIG, nullable=False),
        sa.Column("made_at", BIG, nullable=False),
        sa.Column("devices", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("config_id", name="pk_broker_configs"),
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_table("broker_configs")
