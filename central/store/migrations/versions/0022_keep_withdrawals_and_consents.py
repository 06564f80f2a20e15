"""Keep withdrawals, the orders that follow from them, and what people said to notices."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0022"
down_revision: str | None = "0021"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
STRICT = {"sqlite_with_rowid": True, "sqlite_strict": True}
OF_KEYS = {"sqlite_with_rowid": False, "sqlite_strict": True}


def upgrade() -> None:
    """Bring the store forward; earlier consents are read from the log at the next start."""
    op.create_table(
        "withdrawals",
        sa.Column("withdrawal_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("withdrawn_at", BIG, nullable=False),
        sa.Column("learned_at", BIG, nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=True),
        sa.Column("shares_destroyed", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("withdrawal_id", name="pk_withdrawals"),
        **STRICT,
    )
    op.create_index("ix_withdrawals_person_id", "withdrawals", ["person_id"])
    op.create_table(
        "privacy_orders",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("issued_at", BIG, nullable=False),
        sa.Column("issued_order", sa.LargeBinary(), nullable=False),
        sa.Column("answered_at", BIG, nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("certificate", sa.Text(), nullable=True),
        sa.Column("settled_by", sa.Text(), nullable=True),
        sa.Column("settled_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["devices.device_id"], name="fk_privacy_orders_device_id"),
        sa.PrimaryKeyConstraint("order_id", name="pk_privacy_orders"),
        **STRICT,
    )
    op.create_index("ix_privacy_orders_subject_id", "privacy_orders", ["subject_id"])
    op.create_index("ix_privacy_orders_device_id_answered_at", "privacy_orders", ["device_id", "answered_at"])
    op.create_table(
        "consents",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("notice", sa.Text(), nullable=False),
        sa.Column("notice_version", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("seen_at", BIG, nullable=True),
        sa.Column("said_at", BIG, nullable=True),
        sa.Column("given", sa.Integer(), nullable=True),
        sa.Column("guardian", sa.Text(), nullable=True),
        sa.Column("text_sha256", sa.Text(), nullable=True),
        sa.Column("withdrawn_at", BIG, nullable=True),
        sa.PrimaryKeyConstraint("person_id", "device_id", "notice", "notice_version", name="pk_consents"),
        **OF_KEYS,
    )
    op.create_table(
        "privacy_cursors",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("sequence", BIG, nullable=False),
        sa.PrimaryKeyConstraint("device_id", name="pk_privacy_cursors"),
        **OF_KEYS,
    )


def downgrade() -> None:
    """Take the store back; who has withdrawn stands in the log as well."""
    for table in ("privacy_cursors", "consents", "privacy_orders", "withdrawals"):
        op.drop_table(table)
