"""Add stays, leaves and rounds of spot checks."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the store forward."""
    op.create_table(
        "leaves",
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("visit_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("left_at", BIG, nullable=False),
        sa.Column("due_back_at", BIG, nullable=True),
        sa.Column("returned_at", BIG, nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("recorded_at", BIG, nullable=False),
        sa.Column("said_at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("institution_id", "visit_id", "number", name=op.f("pk_leaves")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rounds",
        sa.Column("round_id", sa.Text(), nullable=False),
        sa.Column("number", BIG, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("committed_at", BIG, nullable=False),
        sa.Column("known_at", BIG, nullable=False),
        sa.Column("due_at", BIG, nullable=False),
        sa.Column("closes_at", BIG, nullable=False),
        sa.Column("drawn_at", BIG, nullable=True),
        sa.Column("published_at", BIG, nullable=True),
        sa.Column("commitment", sa.Text(), nullable=False),
        sa.Column("commitment_sha256", sa.Text(), nullable=False),
        sa.Column("signed", sa.Text(), nullable=False),
        sa.Column("frame", sa.Text(), nullable=False),
        sa.Column("people", sa.Text(), nullable=False),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.Column("assigned", sa.Text(), nullable=False),
        sa.Column("sealed_share", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_code", sa.LargeBinary(), nullable=True),
        sa.Column("sealed_round", sa.LargeBinary(), nullable=True),
        sa.Column("published", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("round_id", name=op.f("pk_rounds")),
        sa.UniqueConstraint("number", name=op.f("uq_rounds_number")),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_table(
        "stay_events",
        sa.Column("event_number", BIG, nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("visit_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("recorded_at", BIG, nullable=False),
        sa.Column("received_at", BIG, nullable=False),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("admitted_at", BIG, nullable=True),
        sa.Column("discharged_at", BIG, nullable=True),
        sa.Column("department", sa.Text(), nullable=True),
        sa.Column("ward", sa.Text(), nullable=True),
        sa.Column("bed", sa.Text(), nullable=True),
        sa.Column("due_back_at", BIG, nullable=True),
        sa.Column("leave_kind", sa.Text(), nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("surname", sa.Text(), nullable=False),
        sa.Column("masked_number", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("event_number", name=op.f("pk_stay_events")),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_index(
        "ix_stay_events_institution_id_visit_id", "stay_events", ["institution_id", "visit_id"], unique=False
    )
    op.create_table(
        "stay_messages",
        sa.Column("message_number", BIG, nullable=False),
        sa.Column("received_at", BIG, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=True),
        sa.Column("visit_id", sa.Text(), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("message_number", name=op.f("pk_stay_messages")),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_index(op.f("ix_stay_messages_received_at"), "stay_messages", ["received_at"], unique=False)
    op.create_table(
        "stays",
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("visit_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("admitted_at", BIG, nullable=False),
        sa.Column("discharged_at", BIG, nullable=True),
        sa.Column("department", sa.Text(), nullable=True),
        sa.Column("ward", sa.Text(), nullable=True),
        sa.Column("bed", sa.Text(), nullable=True),
        sa.Column("surname", sa.Text(), nullable=False),
        sa.Column("masked_number", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("institution_id", "visit_id", name=op.f("pk_stays")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "round_checks",
        sa.Column("check_id", sa.Text(), nullable=False),
        sa.Column("round_id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("ward", sa.Text(), nullable=False),
        sa.Column("visit_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("drawn_at", BIG, nullable=False),
        sa.Column("due_at", BIG, nullable=False),
        sa.Column("closes_at", BIG, nullable=False),
        sa.Column("left_out", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.round_id"], name=op.f("fk_round_checks_round_id")),
        sa.PrimaryKeyConstraint("check_id", name=op.f("pk_round_checks")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_round_checks_drawn_at"), "round_checks", ["drawn_at"], unique=False)
    op.create_index(op.f("ix_round_checks_round_id"), "round_checks", ["round_id"], unique=False)
    op.create_table(
        "round_sheets",
        sa.Column("round_id", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("sheet", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.round_id"], name=op.f("fk_round_sheets_round_id")),
        sa.PrimaryKeyConstraint("round_id", "label", name=op.f("pk_round_sheets")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_round_sheets_device_id"), "round_sheets", ["device_id"], unique=False)


def downgrade() -> None:
    """Take it back."""
    op.drop_index(op.f("ix_round_sheets_device_id"), table_name="round_sheets")
    op.drop_table("round_sheets")
    op.drop_index(op.f("ix_round_checks_round_id"), table_name="round_checks")
    op.drop_index(op.f("ix_round_checks_drawn_at"), table_name="round_checks")
    op.drop_table("round_checks")
    op.drop_table("stays")
    op.drop_index(op.f("ix_stay_messages_received_at"), table_name="stay_messages")
    op.drop_table("stay_messages")
    op.drop_index("ix_stay_events_institution_id_visit_id", table_name="stay_events")
    op.drop_table("stay_events")
    op.drop_table("rounds")
    op.drop_table("leaves")
