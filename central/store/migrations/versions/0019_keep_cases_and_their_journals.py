"""Keep cases, doubts, their frozen evidence and their journals."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0019"
down_revision: str | None = "0018"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OF_KEYS = {"sqlite_with_rowid": False, "sqlite_strict": True}
TABLES = ("attachments", "case_journal", "doubt_votes", "doubt_evidence", "doubt_lines", "doubts", "cases")


def upgrade() -> None:
    """Bring the store forward; there is no case yet."""
    op.create_table(
        "cases",
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("due_at", BIG, nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("case_id", name="pk_cases"),
        **OF_KEYS,
    )
    op.create_index("ix_cases_month_institution_id", "cases", ["month", "institution_id"])
    op.create_table(
        "doubts",
        sa.Column("doubt_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("rule_id", sa.Text(), nullable=False),
        sa.Column("rule_version", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at_stake_fen", BIG, nullable=False),
        sa.Column("amount_fen", BIG, nullable=False),
        sa.Column("billed_fen", BIG, nullable=False),
        sa.Column("fund_fen", BIG, nullable=True),
        sa.Column("issued", sa.Integer(), nullable=False),
        sa.Column("contested", sa.Integer(), nullable=False),
        sa.Column("accepted_fen", BIG, nullable=False),
        sa.Column("decided_at", BIG, nullable=True),
        sa.Column("deducted_fen", BIG, nullable=False),
        sa.Column("returned_fen", BIG, nullable=False),
        sa.Column("doctor", sa.Text(), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name="fk_doubts_case_id"),
        sa.PrimaryKeyConstraint("doubt_id", name="pk_doubts"),
        **OF_KEYS,
    )
    op.create_index("ix_doubts_case_id", "doubts", ["case_id"])
    op.create_index("ix_doubts_month_institution_id_state", "doubts", ["month", "institution_id", "state"])
    op.create_table(
        "doubt_lines",
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("doubt_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["doubt_id"], ["doubts.doubt_id"], name="fk_doubt_lines_doubt_id"),
        sa.PrimaryKeyConstraint("institution_id", "line_id", "doubt_id", name="pk_doubt_lines"),
        **OF_KEYS,
    )
    op.create_table(
        "doubt_evidence",
        sa.Column("doubt_id", sa.Text(), nullable=False),
        sa.Column("evidence", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["doubt_id"], ["doubts.doubt_id"], name="fk_doubt_evidence_doubt_id"),
        sa.PrimaryKeyConstraint("doubt_id", name="pk_doubt_evidence"),
        sqlite_strict=True,
    )
    op.create_table(
        "doubt_votes",
        sa.Column("doubt_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("vote", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["doubt_id"], ["doubts.doubt_id"], name="fk_doubt_votes_doubt_id"),
        sa.PrimaryKeyConstraint("doubt_id", "account_id", name="pk_doubt_votes"),
        **OF_KEYS,
    )
    op.create_table(
        "case_journal",
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name="fk_case_journal_case_id"),
        sa.PrimaryKeyConstraint("case_id", "number", name="pk_case_journal"),
        **OF_KEYS,
    )
    op.create_table(
        "attachments",
        sa.Column("attachment_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=True),
        sa.Column("added_at", BIG, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("attachment_id", name="pk_attachments"),
        sqlite_strict=True,
    )


def downgrade() -> None:
    """Take them back."""
    for table in TABLES:
        op.drop_table(table)
