"""Make the first tables."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
REAL: sa.Double[Any] = sa.Double().with_variant(sa.REAL(), "sqlite")


def upgrade() -> None:
    """Bring the store forward."""
    op.create_table(
        "alarms",
        sa.Column("alarm_id", BIG, nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("sequence", BIG, nullable=True),
        sa.Column("first_at", BIG, nullable=False),
        sa.Column("last_at", BIG, nullable=False),
        sa.Column("times", BIG, nullable=False),
        sa.Column("resolved_at", BIG, nullable=True),
        sa.PrimaryKeyConstraint("alarm_id", name=("pk_alarms")),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_index("ix_alarms_device_id_problem", "alarms", ["device_id", "problem"], unique=False)
    op.create_table(
        "attendance",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("sequence", BIG, autoincrement=False, nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("occurred_at", BIG, nullable=False),
        sa.Column("received_at", BIG, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("comparison_score", REAL, nullable=True),
        sa.Column("threshold", REAL, nullable=True),
        sa.Column("pad", sa.Text(), nullable=False),
        sa.Column("witness_id", sa.Text(), nullable=True),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("clock_trusted", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("device_id", "sequence", name=("pk_attendance")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(("ix_attendance_event_id"), "attendance", ["event_id"], unique=False)
    op.create_index(("ix_attendance_occurred_at"), "attendance", ["occurred_at"], unique=False)
    op.create_table(
        "audit_runs",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("from_day", sa.Text(), nullable=False),
        sa.Column("to_day", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("steps_done", sa.Integer(), nullable=False),
        sa.Column("steps_total", sa.Integer(), nullable=False),
        sa.Column("started_at", BIG, nullable=False),
        sa.Column("finished_at", BIG, nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name=("pk_audit_runs")),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_table(
        "coverage",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("sequence", BIG, autoincrement=False, nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("from_at", BIG, nullable=False),
        sa.Column("to_at", BIG, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("received_at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("device_id", "sequence", name=("pk_coverage")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(("ix_coverage_from_at"), "coverage", ["from_at"], unique=False)
    op.create_table(
        "device_clocks",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("sequence", BIG, autoincrement=False, nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("offset_ms", BIG, nullable=True),
        sa.Column("trusted", sa.Integer(), nullable=False),
        sa.Column("occurred_at", BIG, nullable=False),
        sa.Column("received_at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("device_id", "sequence", name=("pk_device_clocks")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "device_status",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sequence", BIG, nullable=False),
        sa.Column("acknowledged", BIG, nullable=False),
        sa.Column("waiting_since", BIG, nullable=True),
        sa.Column("software", sa.Text(), nullable=False),
        sa.Column("said_at", BIG, nullable=False),
        sa.Column("received_at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("device_id", name=("pk_device_status")),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_table(
        "findings",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("finding_id", sa.Text(), nullable=False),
        sa.Column("service_day", sa.Text(), nullable=False),
        sa.Column("rule_id", sa.Text(), nullable=False),
        sa.Column("rule_version", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=True),
        sa.Column("line_ids", sa.Text(), nullable=False),
        sa.Column("amount_fen", BIG, nullable=False),
        sa.Column("from_at", BIG, nullable=True),
        sa.Column("to_at", BIG, nullable=True),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("explanation_zh", sa.Text(), nullable=False),
        sa.Column("explanation_en", sa.Text(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "finding_id", name=("pk_findings")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_findings_finding_id", "findings", ["finding_id"], unique=False)
    op.create_index("ix_findings_run_id_service_day", "findings", ["run_id", "service_day"], unique=False)
    op.create_table(
        "institutions",
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("region_code", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("dialysis_machines", sa.Integer(), nullable=True),
        sa.Column("beds", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("institution_id", name=("pk_institutions")),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_table(
        "log_batches",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("first_sequence", BIG, autoincrement=False, nullable=False),
        sa.Column("last_sequence", BIG, autoincrement=False, nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("header", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("device_id", "first_sequence", "last_sequence", name=("pk_log_batches")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "log_entries",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("sequence", BIG, autoincrement=False, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("line", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", BIG, nullable=False),
        sa.Column("flaw", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("device_id", "sequence", name=("pk_log_entries")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "persons",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("sex", sa.Text(), nullable=False),
        sa.Column("birth_date", sa.Text(), nullable=True),
        sa.Column("death_date", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("person_id", name=("pk_persons")),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_table(
        "quarantine",
        sa.Column("quarantine_id", BIG, nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("sequence", BIG, nullable=True),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("first_received_at", BIG, nullable=False),
        sa.Column("last_received_at", BIG, nullable=False),
        sa.Column("times", BIG, nullable=False),
        sa.PrimaryKeyConstraint("quarantine_id", name=("pk_quarantine")),
        sa.UniqueConstraint("topic", "problem", "sha256", name=("uq_quarantine_topic_problem_sha256")),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_table(
        "spot_checks",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("sequence", BIG, autoincrement=False, nullable=False),
        sa.Column("check_id", sa.Text(), nullable=False),
        sa.Column("round_id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("visit_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("drawn_at", BIG, nullable=False),
        sa.Column("due_at", BIG, nullable=False),
        sa.Column("answered_at", BIG, nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("inspector_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("device_id", "sequence", name=("pk_spot_checks")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(("ix_spot_checks_drawn_at"), "spot_checks", ["drawn_at"], unique=False)
    op.create_table(
        "verdicts",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("service_day", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("item_code", sa.Text(), nullable=False),
        sa.Column("item_name", sa.Text(), nullable=False),
        sa.Column("service_at", BIG, nullable=False),
        sa.Column("quantity", sa.Text(), nullable=False),
        sa.Column("amount_fen", BIG, nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("coverage_ratio", REAL, nullable=True),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("rule_id", sa.Text(), nullable=False),
        sa.Column("rule_version", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "line_id", name=("pk_verdicts")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_verdicts_line_id", "verdicts", ["line_id"], unique=False)
    op.create_index("ix_verdicts_run_id_service_day", "verdicts", ["run_id", "service_day"], unique=False)
    op.create_table(
        "audit_days",
        sa.Column("service_day", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["audit_runs.run_id"], name=("fk_audit_days_run_id")),
        sa.PrimaryKeyConstraint("service_day", name=("pk_audit_days")),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_table(
        "devices",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("institution_id", sa.Text(), nullable=False),
        sa.Column("shard", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("registered_at", BIG, nullable=False),
        sa.Column("revoked_at", BIG, nullable=True),
        sa.Column("head_sequence", BIG, nullable=False),
        sa.Column("head_hash", sa.Text(), nullable=False),
        sa.Column("head_received_at", BIG, nullable=True),
        sa.ForeignKeyConstraint(
            ["institution_id"], ["institutions.institution_id"], name=("fk_devices_institution_id")
        ),
        sa.PrimaryKeyConstraint("device_id", name=("pk_devices")),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_table(
        "device_keys",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("public_pem", sa.Text(), nullable=False),
        sa.Column("valid_from", BIG, nullable=False),
        sa.Column("revoked_at", BIG, nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["devices.device_id"], name=("fk_device_keys_device_id")),
        sa.PrimaryKeyConstraint("key_id", name=("pk_device_keys")),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_index(("ix_device_keys_device_id"), "device_keys", ["device_id"], unique=False)


def downgrade() -> None:
    """Take it back."""
    op.drop_index(("ix_device_keys_device_id"), table_name="device_keys")
    op.drop_table("device_keys")
    op.drop_table("devices")
    op.drop_table("audit_days")
    op.drop_index("ix_verdicts_run_id_service_day", table_name="verdicts")
    op.drop_index("ix_verdicts_line_id", table_name="verdicts")
    op.drop_table("verdicts")
    op.drop_index(("ix_spot_checks_drawn_at"), table_name="spot_checks")
    op.drop_table("spot_checks")
    op.drop_table("quarantine")
    op.drop_table("persons")
    op.drop_table("log_entries")
    op.drop_table("log_batches")
    op.drop_table("institutions")
    op.drop_index("ix_findings_run_id_service_day", table_name="findings")
    op.drop_index("ix_findings_finding_id", table_name="findings")
    op.drop_table("findings")
    op.drop_table("device_status")
    op.drop_table("device_clocks")
    op.drop_index(("ix_coverage_from_at"), table_name="coverage")
    op.drop_table("coverage")
    op.drop_table("audit_runs")
    op.drop_index(("ix_attendance_occurred_at"), table_name="attendance")
    op.drop_index(("ix_attendance_event_id"), table_name="attendance")
    op.drop_table("attendance")
    op.drop_index("ix_alarms_device_id_problem", table_name="alarms")
    op.drop_table("alarms")
