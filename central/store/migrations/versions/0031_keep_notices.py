"""Keep notices of cases, and what became of sending them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0031"
down_revision: str | None = "0030"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OF_KEYS = {"sqlite_with_rowid": False, "sqlite_strict": True}


def upgrade() -> None:
    """Bring the store forward; notices of what is open are made at the next turn."""
    op.create_table(
        "notices",
        sa.Column("notice_id", sa.Text(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("notice_id", name="pk_notices"),
        sa.UniqueConstraint("kind", "audience", "subject", "stage", name="uq_notices_kind"),
        **OF_KEYS,
    )
    op.create_index("ix_notices_at", "notices", ["at"])
    op.create_table(
        "notice_sends",
        sa.Column("notice_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", BIG, nullable=True),
        sa.Column("sent_at", BIG, nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.notice_id"], name="fk_notice_sends_notice_id"),
        sa.PrimaryKeyConstraint("notice_id", "channel", name="pk_notice_sends"),
        **OF_KEYS,
    )
    op.create_index("ix_notice_sends_next_at", "notice_sends", ["next_at"])


def downgrade() -> None:
    """Take them back."""
    op.drop_table("notice_sends")
    op.drop_table("notices")
