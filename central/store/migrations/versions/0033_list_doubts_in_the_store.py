"""Keep beside each doubt what the newest audit says of its first line, and an index that lists need alone."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0033"
down_revision: str | None = "0032"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SAID = {"service_day": "service_day", "billed_by": "doctor_id", "newest": "verdict"}
LISTED = (
    "month", "state", "institution_id", "confirmed", "at_stake_fen", "person_id", "rule_id", "reason",
    "verdict", "newest", "service_day", "billed_by", "due_at", "decided_at", "case_id", "doctor", "version",
    "doubt_id",
)  # fmt: skip


def upgrade() -> None:
    """Bring the store forward."""
    for name in SAID:
        op.add_column("doubts", sa.Column(name, sa.Text(), nullable=True))
    speaking = (
        "FROM verdicts v JOIN audit_days d ON d.run_id = v.run_id AND d.service_day = v.service_day "
        "WHERE v.line_id = doubts.line_id AND v.institution_id = doubts.institution_id "
        "ORDER BY v.service_day DESC, v.run_id LIMIT 1"
    )
    values = ", ".join(f"{name} = (SELECT v.{column} {speaking})" for name, column in SAID.items())
    op.get_bind().execute(sa.text(f"UPDATE doubts SET {values}"))  # noqa: S608 - of names above
    op.create_index("ix_doubts_listed", "doubts", LISTED)


def downgrade() -> None:
    """Take them back."""
    op.drop_index("ix_doubts_listed", "doubts")
    for name in SAID:
        op.drop_column("doubts", name)
