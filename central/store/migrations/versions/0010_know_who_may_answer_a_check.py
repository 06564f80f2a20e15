"""Know who may answer a check: its device, the bureau's inspectors; keep undrawn checks apart."""

from collections.abc import Sequence

import orjson
import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
COLUMNS = (
    "device_id, sequence, check_id, round_id, institution_id, visit_id, person_id, drawn_at, due_at, "
    "answered_at, result, inspector_id"
)


def upgrade() -> None:
    """Bring the store forward; answers already there keep counting if they came from the right device."""
    op.add_column("spot_checks", sa.Column("received_at", BIG, nullable=True))
    op.add_column("round_checks", sa.Column("device_id", sa.Text(), nullable=True))
    op.create_table(
        "undrawn_checks",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("sequence", BIG, nullable=False, autoincrement=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("check_id", "round_id", "institution_id")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("visit_id", "person_id")),
        *(sa.Column(name, BIG, nullable=False) for name in ("drawn_at", "due_at", "answered_at")),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("inspector_id", sa.Text(), nullable=True),
        sa.Column("received_at", BIG, nullable=True),
        sa.PrimaryKeyConstraint("device_id", "sequence", name="pk_undrawn_checks"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "inspectors",
        sa.Column("inspector_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("since", BIG, nullable=False),
        sa.Column("until", BIG, nullable=True),
        sa.PrimaryKeyConstraint("inspector_id", name="pk_inspectors"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    undrawn = "FROM spot_checks WHERE check_id NOT IN (SELECT check_id FROM round_checks)"
    op.execute(f"INSERT INTO undrawn_checks ({COLUMNS}) SELECT {COLUMNS} {undrawn}")
    op.execute(f"DELETE {undrawn}")
    _address_checks()
    _know_inspectors()


def _address_checks() -> None:
    """Write to each check the device to which its institution's sheet was assigned."""
    connection = op.get_bind()
    checks = sa.table(
        "round_checks", *(sa.column(name) for name in ("round_id", "institution_id", "device_id"))
    )
    for round_id, assigned in connection.execute(sa.text("SELECT round_id, assigned FROM rounds")).all():
        for institution_id, device_id in orjson.loads(assigned).items():
            of_sheet = (checks.c.round_id == round_id, checks.c.institution_id == institution_id)
            connection.execute(sa.update(checks).where(*of_sheet).values(device_id=device_id))


def _know_inspectors() -> None:
    """Take over whoever has answered a drawn check: the rounds of the past keep their answers."""
    op.execute(
        "INSERT INTO inspectors (inspector_id, name, since, until) "
        "SELECT inspector_id, inspector_id, min(answered_at), NULL FROM spot_checks "
        "WHERE inspector_id IS NOT NULL GROUP BY inspector_id"
    )


def downgrade() -> None:
    """Take it back."""
    op.execute(f"INSERT INTO spot_checks ({COLUMNS}) SELECT {COLUMNS} FROM undrawn_checks")  # noqa: S608 - our own names
    op.drop_table("inspectors")
    op.drop_table("undrawn_checks")
    op.drop_column("round_checks", "device_id")
    op.drop_column("spot_checks", "received_at")
