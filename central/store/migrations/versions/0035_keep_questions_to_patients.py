"""Keep what patients were asked about a billed day, and what came of it, as a signed journal."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0035"
down_revision: str | None = "0034"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the store forward; nobody was asked yet."""
    op.create_table(
        "patient_questions",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("doubt_id", sa.Text(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("due_at", BIG, nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["doubt_id"], ["doubts.doubt_id"], name="fk_patient_questions_doubt_id"),
        sa.PrimaryKeyConstraint("number", name="pk_patient_questions"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_index("ix_patient_questions_doubt_id", "patient_questions", ["doubt_id"])


def downgrade() -> None:
    """Take them back."""
    op.drop_table("patient_questions")
