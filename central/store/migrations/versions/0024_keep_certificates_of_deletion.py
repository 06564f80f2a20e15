"""Keep the certificates of nightly deletions."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0024"
down_revision: str | None = "0023"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the store forward."""
    op.create_table(
        "deletion_certificates",
        sa.Column("number", BIG, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_deletion_certificates"),
        sqlite_strict=True,
    )


def downgrade() -> None:
    """Take the store back."""
    op.drop_table("deletion_certificates")
