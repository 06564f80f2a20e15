"""Let entries of the access log go after three years, and let accounts hold between dates."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0027"
down_revision: str | None = "0026"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the store forward; nothing is gone yet, and accounts hold without an end."""
    op.create_table(
        "access_log_past",
        sa.Column("number", BIG, autoincrement=False, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_access_log_past"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.add_column("accounts", sa.Column("valid_from", BIG, nullable=True))
    op.add_column("accounts", sa.Column("valid_until", BIG, nullable=True))


def downgrade() -> None:
    """Take them back."""
    op.drop_column("accounts", "valid_until")
    op.drop_column("accounts", "valid_from")
    op.drop_table("access_log_past")
