"""Know persons by accounts with roles, and write down who read what of whom."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the store forward; there is no account yet."""
    op.create_table(
        "accounts",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("made_at", BIG, nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("disabled_at", BIG, nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("password_at", BIG, nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("account_id", name="pk_accounts"),
        sa.UniqueConstraint("subject", name="uq_accounts_subject"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_table(
        "account_roles",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("granted_at", BIG, nullable=False),
        sa.Column("granted_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_account_roles_account_id"),
        sa.PrimaryKeyConstraint("account_id", "role", name="pk_account_roles"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_table(
        "account_institutions",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("tie", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.account_id"], name="fk_account_institutions_account_id"
        ),
        sa.PrimaryKeyConstraint("account_id", "institution_id", "tie", name="pk_account_institutions"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_table(
        "account_codes",
        sa.Column("code_hash", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("made_at", BIG, nullable=False),
        sa.Column("valid_until", BIG, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_account_codes_account_id"),
        sa.PrimaryKeyConstraint("code_hash", name="pk_account_codes"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_index("ix_account_codes_account_id", "account_codes", ["account_id"])
    op.create_table(
        "account_tokens",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("token_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=True),
        sa.Column("made_at", BIG, nullable=False),
        sa.Column("valid_until", BIG, nullable=False),
        sa.Column("revoked_at", BIG, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_account_tokens_account_id"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_account_tokens"),
        sa.UniqueConstraint("token_id", name="uq_account_tokens_token_id"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_index("ix_account_tokens_account_id", "account_tokens", ["account_id"])
    op.create_table(
        "account_sessions",
        sa.Column("session_hash", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("began_at", BIG, nullable=False),
        sa.Column("seen_at", BIG, nullable=False),
        sa.Column("confirmed_at", BIG, nullable=False),
        sa.Column("ended_at", BIG, nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.account_id"], name="fk_account_sessions_account_id"
        ),
        sa.PrimaryKeyConstraint("session_hash", name="pk_account_sessions"),
        sa.UniqueConstraint("session_id", name="uq_account_sessions_session_id"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_index("ix_account_sessions_account_id", "account_sessions", ["account_id"])
    op.create_table(
        "access_log",
        sa.Column("number", BIG, nullable=False, autoincrement=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_access_log"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_index("ix_access_log_account_id", "access_log", ["account_id"])
    op.create_index("ix_access_log_at", "access_log", ["at"])
    op.create_table(
        "access_log_persons",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("number", BIG, nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("person_id", "number", name="pk_access_log_persons"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_table(
        "duties_done",
        sa.Column("thing", sa.Text(), nullable=False),
        sa.Column("duty", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("done_at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("thing", "duty", "account_id", name="pk_duties_done"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_table(
        "emergency_access",
        sa.Column("emergency_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_at", BIG, nullable=False),
        sa.Column("allowed_by", sa.Text(), nullable=True),
        sa.Column("allowed_at", BIG, nullable=True),
        sa.Column("valid_until", BIG, nullable=True),
        sa.Column("reviewed_by", sa.Text(), nullable=True),
        sa.Column("reviewed_at", BIG, nullable=True),
        sa.Column("review", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.account_id"], name="fk_emergency_access_account_id"
        ),
        sa.PrimaryKeyConstraint("emergency_id", name="pk_emergency_access"),
        sqlite_with_rowid=False,
        sqlite_strict=True,
    )
    op.create_index("ix_emergency_access_account_id", "emergency_access", ["account_id"])


def downgrade() -> None:
    """Take it back."""
    op.drop_table("emergency_access")
    op.drop_table("duties_done")
    op.drop_table("access_log_persons")
    op.drop_table("access_log")
    op.drop_table("account_sessions")
    op.drop_table("account_tokens")
    op.drop_table("account_codes")
    op.drop_table("account_institutions")
    op.drop_table("account_roles")
    op.drop_table("accounts")
