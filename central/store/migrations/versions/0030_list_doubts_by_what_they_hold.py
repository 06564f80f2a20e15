"""List doubts by their first line, verdict and last step, without opening each record."""

from collections.abc import Sequence

import orjson
import sqlalchemy as sa
from alembic import op

revision: str = "0030"
down_revision: str | None = "0029"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the store forward; when earlier steps were done, their journals say."""
    for name, kind in (("line_id", sa.Text()), ("verdict", sa.Text()), ("confirmed", sa.Integer())):
        op.add_column("doubts", sa.Column(name, kind, nullable=True))
    op.add_column("doubts", sa.Column("changed_at", BIG, nullable=True))
    connection = op.get_bind()
    fill = sa.text(
        "UPDATE doubts SET line_id = :line_id, verdict = :verdict, confirmed = :confirmed "
        "WHERE doubt_id = :doubt_id"
    )
    for row in connection.execute(sa.text("SELECT doubt_id, record FROM doubts")).all():
        held = orjson.loads(row.record)
        connection.execute(
            fill,
            {
                "line_id": held["lines"][0]["line_id"],
                "verdict": held["verdict"],
                "confirmed": int(held["confirmed"]),
                "doubt_id": row.doubt_id,
            },
        )
