"""Know which store speaks, what it lost when set back, and what is safe; checkpoints grow from peaks."""

from collections.abc import Sequence
from uuid import uuid4

import orjson
import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the store forward: it gets an id and begins its first epoch."""
    op.create_table(
        "central_identity",
        sa.Column("one", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("epoch", BIG, nullable=False),
        sa.Column("run", BIG, nullable=False),
        sa.PrimaryKeyConstraint("one", name="pk_central_identity"),
        sqlite_strict=True,
    )
    op.create_table(
        "epochs",
        sa.Column("epoch", BIG, nullable=False, autoincrement=False),
        sa.Column("began_at", BIG, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("epoch", name="pk_epochs"),
        sqlite_strict=True,
    )
    op.create_table(
        "lost_entries",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("first_sequence", BIG, nullable=False, autoincrement=False),
        sa.Column("last_sequence", BIG, nullable=False),
        sa.Column("last_hash", sa.Text(), nullable=False),
        sa.Column("epoch", BIG, nullable=False),
        sa.Column("found_at", BIG, nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("device_id", "first_sequence", name="pk_lost_entries"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "backups",
        sa.Column("backup_id", BIG, nullable=False),
        sa.Column("taken_at", BIG, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("bytes", BIG, nullable=False),
        sa.PrimaryKeyConstraint("backup_id", name="pk_backups"),
        sqlite_strict=True,
    )
    op.create_table(
        "checkpoint_heads",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("sequence", BIG, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("safe_sequence", BIG, nullable=False),
        sa.PrimaryKeyConstraint("device_id", name="pk_checkpoint_heads"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.add_column("checkpoints", sa.Column("peaks", sa.Text(), nullable=True))
    op.add_column("checkpoints", sa.Column("safe", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("device_status", sa.Column("halted", sa.Text(), nullable=True))
    told = sa.text("INSERT INTO central_identity (one, store_id, epoch, run) VALUES (1, :store_id, 1, 0)")
    op.get_bind().execute(told, {"store_id": str(uuid4())})
    _take_over_heads()


def _take_over_heads() -> None:
    """Write down the latest leaf of each name in the tree."""
    connection = op.get_bind()
    latest: dict[str, tuple[int, str]] = {}
    query = sa.text("SELECT heads FROM checkpoints ORDER BY checkpoint_id")
    for heads in connection.execute(query).scalars():
        latest |= {name: (sequence, digest) for name, sequence, digest in orjson.loads(heads)}
    if latest:
        connection.execute(
            sa.text("INSERT INTO checkpoint_heads VALUES (:name, :sequence, :hash, 0)"),
            [{"name": name, "sequence": head[0], "hash": head[1]} for name, head in latest.items()],
        )


def downgrade() -> None:
    """Take it back."""
    op.drop_column("device_status", "halted")
    op.drop_column("checkpoints", "safe")
    op.drop_column("checkpoints", "peaks")
    for name in ("checkpoint_heads", "backups", "lost_entries", "epochs", "central_identity"):
        op.drop_table(name)
