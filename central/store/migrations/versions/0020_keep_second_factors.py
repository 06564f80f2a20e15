"""Keep second factors of accounts, and by what a session's owner was known."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0020"
down_revision: str | None = "0019"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OF_KEYS = {"sqlite_with_rowid": False, "sqlite_strict": True}


def _of_account(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name=f"fk_{table}_account_id")


def upgrade() -> None:
    """Bring the store forward; nobody has a second factor yet."""
    op.create_table(
        "account_totp",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", BIG, nullable=False),
        sa.Column("confirmed_at", BIG, nullable=True),
        sa.Column("last_step", BIG, nullable=False),
        sa.Column("failures", BIG, nullable=False),
        sa.Column("failed_at", BIG, nullable=False),
        _of_account("account_totp"),
        sa.PrimaryKeyConstraint("account_id", name="pk_account_totp"),
        **OF_KEYS,
    )
    op.create_table(
        "account_recovery_codes",
        sa.Column("code_hash", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("made_at", BIG, nullable=False),
        _of_account("account_recovery_codes"),
        sa.PrimaryKeyConstraint("code_hash", name="pk_account_recovery_codes"),
        **OF_KEYS,
    )
    op.create_index("ix_account_recovery_codes_account_id", "account_recovery_codes", ["account_id"])
    op.create_table(
        "account_passkeys",
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", BIG, nullable=False),
        sa.Column("made_at", BIG, nullable=False),
        sa.Column("used_at", BIG, nullable=True),
        _of_account("account_passkeys"),
        sa.PrimaryKeyConstraint("credential_id", name="pk_account_passkeys"),
        **OF_KEYS,
    )
    op.create_index("ix_account_passkeys_account_id", "account_passkeys", ["account_id"])
    op.add_column("account_sessions", sa.Column("way", sa.Text(), nullable=False, server_default=""))
    op.add_column("account_sessions", sa.Column("id_token", sa.Text(), nullable=True))


def downgrade() -> None:
    """Take them back."""
    op.drop_column("account_sessions", "id_token")
    op.drop_column("account_sessions", "way")
    for table in ("account_passkeys", "account_recovery_codes", "account_totp"):
        op.drop_table(table)
