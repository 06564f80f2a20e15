"""Know a line by its institution and its id; keep what is at stake, and the ledger of each run."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
REAL: sa.types.TypeEngine[float] = sa.Double().with_variant(sa.REAL(), "sqlite")
COPIED = (
    "run_id, line_id, service_day, institution_id, person_id, item_code, item_name, service_at, quantity, "
    "amount_fen, verdict, reason, coverage_ratio, evidence, rule_id, rule_version"
)


def upgrade() -> None:
    """Bring the store forward."""
    _set_aside()
    _make_verdicts(("institution_id", "line_id"), sa.Column("at_stake_fen", BIG, nullable=False))
    op.execute(f"INSERT INTO verdicts ({COPIED}, at_stake_fen) SELECT {COPIED}, amount_fen FROM old_verdicts")  # noqa: S608 - our own names
    op.drop_table("old_verdicts")
    op.create_table(
        "ledger",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("box", sa.Text(), nullable=False),
        sa.Column("lines", BIG, nullable=False),
        sa.Column("amount_fen", BIG, nullable=False),
        sa.Column("fund_fen", BIG, nullable=True),
        sa.PrimaryKeyConstraint("run_id", "institution_id", "box", name="pk_ledger"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Take it back; of two institutions' lines with one number the first stays."""
    op.drop_table("ledger")
    _set_aside()
    _make_verdicts(("line_id",))
    op.execute(f"INSERT INTO verdicts ({COPIED}) SELECT {COPIED} FROM old_verdicts ON CONFLICT DO NOTHING")  # noqa: S608 - our own names
    op.drop_table("old_verdicts")


def _set_aside() -> None:
    """Move the verdicts out of the way, their names of indexes and key with them."""
    op.drop_index("ix_verdicts_run_id_service_day", table_name="verdicts")
    op.drop_index("ix_verdicts_line_id", table_name="verdicts")
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("pk_verdicts", "verdicts")
    op.rename_table("verdicts", "old_verdicts")


def _make_verdicts(line: Sequence[str], *more: sa.Column[int]) -> None:
    op.create_table(
        "verdicts",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("service_day", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("item_code", sa.Text(), nullable=False),
        sa.Column("item_name", sa.Text(), nullable=False),
        sa.Column("service_at", BIG, nullable=False),
        sa.Column("quantity", sa.Text(), nullable=False),
        sa.Column("amount_fen", BIG, nullable=False),
        *more,
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("coverage_ratio", REAL, nullable=True),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("rule_id", sa.Text(), nullable=False),
        sa.Column("rule_version", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", *line, name="pk_verdicts"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_verdicts_line_id", "verdicts", ["line_id"], unique=False)
    op.create_index("ix_verdicts_run_id_service_day", "verdicts", ["run_id", "service_day"], unique=False)
