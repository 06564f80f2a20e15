"""The tables of central's store.

Moments (`*_at`, `*_us`) are microseconds since 1970 in UTC (`times`), money is in fen, days are ISO text.
The log is the truth; `attendance`, `counter_identifications`, `machine_runs`, `coverage`, `spot_checks` and
`device_clocks` are projections of it and can be made again from it.
"""

from typing import Any

from sqlalchemy import (
    REAL,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# On SQLite only INTEGER makes a row id; on PostgreSQL the numbers outgrow 32 bits.
_Big = BigInteger().with_variant(Integer(), "sqlite")
# STRICT tables know REAL and not DOUBLE; PostgreSQL's REAL has 32 bits only.
_Real: Double[Any] = Double().with_variant(REAL(), "sqlite")


def _table(name: str, *parts: Column[object] | Index | UniqueConstraint, rowid: bool = True) -> Table:
    return Table(name, metadata, *parts, sqlite_with_rowid=rowid, sqlite_strict=True)


institutions = _table(
    "institutions",
    Column("institution_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("region_code", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("dialysis_machines", Integer),
    Column("beds", Integer),
)

persons = _table(
    "persons",
    Column("person_id", Text, primary_key=True),
    Column("sex", Text, nullable=False),
    Column("birth_date", Text),
    Column("death_date", Text),
)

devices = _table(
    "devices",
    Column("device_id", Text, primary_key=True),
    Column("institution_id", Text, ForeignKey("institutions.institution_id"), nullable=False),
    Column("shard", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("registered_at", _Big, nullable=False),
    Column("revoked_at", _Big),
    # The end of the chain that central holds; written in the transaction that writes the entries.
    Column("head_sequence", _Big, nullable=False),
    Column("head_hash", Text, nullable=False),
    Column("head_received_at", _Big),
    Column("reassigned_at", _Big),  # since when it belongs to this shard; empty while never moved
)

device_keys = _table(
    "device_keys",
    Column("key_id", Text, primary_key=True),
    Column("device_id", Text, ForeignKey("devices.device_id"), nullable=False, index=True),
    Column("public_pem", Text, nullable=False),
    Column("valid_from", _Big, nullable=False),
    Column("revoked_at", _Big),
    # Which entries it may sign. A rotation, itself an entry, ends one key's stretch and begins the next's.
    Column("from_sequence", _Big, nullable=False, server_default="1"),
    Column("until_sequence", _Big),
    Column("rotated_from", Text),  # the key that vouched for it; empty when it was registered by a person
)

# What the site's CA has issued to devices; the serials of revoked ones go onto its revocation list.
device_certificates = _table(
    "device_certificates",
    Column("serial", Text, primary_key=True),  # hexadecimal
    Column("device_id", Text, ForeignKey("devices.device_id"), nullable=False, index=True),
    Column("issued_at", _Big, nullable=False),
)

log_entries = _table(
    "log_entries",
    Column("device_id", Text, primary_key=True),
    Column("sequence", _Big, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("line", LargeBinary, nullable=False),
    Column("received_at", _Big, nullable=False),
    Column("flaw", Text),  # why the event in a validly signed entry cannot be used; the entry itself stands
    rowid=False,
)

log_batches = _table(
    "log_batches",
    Column("device_id", Text, primary_key=True),
    Column("first_sequence", _Big, primary_key=True, autoincrement=False),
    Column("last_sequence", _Big, primary_key=True, autoincrement=False),
    Column("key_id", Text, nullable=False),
    Column("header", LargeBinary, nullable=False),  # with the entries' lines, all that a JWS verifier needs
    Column("signature", LargeBinary, nullable=False),
    Column("received_at", _Big, nullable=False),
    rowid=False,
)

# Archives of closed years (`central/archive`): where each ends, so that the next goes on there.
archives = _table(
    "archives",
    Column("archive_id", Text, primary_key=True),
    Column("year", Integer, nullable=False, unique=True),
    Column("manifest_sha256", Text, nullable=False),
    Column("last_checkpoint", _Big, nullable=False),
    Column("archived_at", _Big, nullable=False),
)

# What each archive holds of a device. Once it was pruned, the device's log begins here after `upto_sequence`.
archived_entries = _table(
    "archived_entries",
    Column("device_id", Text, primary_key=True),
    Column("upto_sequence", _Big, primary_key=True, autoincrement=False),
    Column("upto_hash", Text, nullable=False),
    Column("archive_id", Text, ForeignKey("archives.archive_id"), nullable=False, index=True),
    Column("word", Text, nullable=False),  # the same, signed: nobody but central can call entries archived
    Column("pruned_at", _Big),
)

# Of pruned entries the first bytes of their hashes, some hundreds a row: so a second history is still told.
archived_hashes = _table(
    "archived_hashes",
    Column("device_id", Text, primary_key=True),
    Column("first_sequence", _Big, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
)

attendance = _table(
    "attendance",
    Column("device_id", Text, primary_key=True),
    Column("sequence", _Big, primary_key=True, autoincrement=False),
    Column("event_id", Text, nullable=False),
    Column("institution_id", Text, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("occurred_at", _Big, nullable=False, index=True),
    Column("received_at", _Big, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("comparison_score", _Real),
    Column("threshold", _Real),
    Column("pad", Text, nullable=False),
    Column("witness_id", Text),
    Column("session_id", Text),
    Column("clock_trusted", Integer, nullable=False),
    rowid=False,
)

# Purchases at counters: the person is the patient, who need not have been there.
counter_identifications = _table(
    "counter_identifications",
    Column("device_id", Text, primary_key=True),
    Column("sequence", _Big, primary_key=True, autoincrement=False),
    Column("event_id", Text, nullable=False),
    Column("institution_id", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("person_id", Text, nullable=False, index=True),
    Column("occurred_at", _Big, nullable=False, index=True),
    Column("received_at", _Big, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("pad", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("relation", Text, nullable=False),
    Column("basis", Text, nullable=False),
    Column("both_papers", Integer, nullable=False),
    Column("holder_id", Text, nullable=False, index=True),
    Column("buyer_id", Text, index=True),
    Column("clerk_id", Text, nullable=False),
    Column("witness_id", Text),
    Column("terminal_reference", Text),
    Column("purchase_id", Text, nullable=False),
    Column("clock_trusted", Integer, nullable=False),
    rowid=False,
)

# Runs of machines as gateways signed them, in the columns of the canonical table `machine_sessions`.
machine_runs = _table(
    "machine_runs",
    Column("device_id", Text, primary_key=True),
    Column("sequence", _Big, primary_key=True, autoincrement=False),
    Column("institution_id", Text, nullable=False),
    Column("machine_id", Text, nullable=False),
    Column("person_id", Text, index=True),
    Column("started_at", _Big, nullable=False, index=True),
    Column("ended_at", _Big, nullable=False),
    Column("source", Text, nullable=False),
    Column("serial_number", Text),
    Column("accession_number", Text),
    Column("received_at", _Big, nullable=False),
    rowid=False,
)

coverage = _table(
    "coverage",
    Column("device_id", Text, primary_key=True),
    Column("sequence", _Big, primary_key=True, autoincrement=False),
    Column("institution_id", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("from_at", _Big, nullable=False, index=True),
    Column("to_at", _Big, nullable=False),
    Column("state", Text, nullable=False),
    Column("cause", Text),
    Column("received_at", _Big, nullable=False),
    rowid=False,
)

spot_checks = _table(
    "spot_checks",
    Column("device_id", Text, primary_key=True),
    Column("sequence", _Big, primary_key=True, autoincrement=False),
    Column("check_id", Text, nullable=False),
    Column("round_id", Text, nullable=False),
    Column("institution_id", Text, nullable=False),
    Column("visit_id", Text, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("drawn_at", _Big, nullable=False, index=True),
    Column("due_at", _Big, nullable=False),
    Column("answered_at", _Big, nullable=False),
    Column("result", Text, nullable=False),
    Column("inspector_id", Text),
    Column("received_at", _Big),
    rowid=False,
)

# Answers to checks that nobody drew: an inspector's own looks. Neither the rate nor the audit reads them.
undrawn_checks = _table(
    "undrawn_checks",
    *(
        Column(
            column.name,
            column.type,
            primary_key=column.primary_key,
            nullable=column.nullable,
            autoincrement=False,
        )
        for column in spot_checks.columns
    ),
    rowid=False,
)

# Who may answer for the bureau, and from when to when.
inspectors = _table(
    "inspectors",
    Column("inspector_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("since", _Big, nullable=False),
    Column("until", _Big),
    rowid=False,
)

device_clocks = _table(
    "device_clocks",
    Column("device_id", Text, primary_key=True),
    Column("sequence", _Big, primary_key=True, autoincrement=False),
    Column("change", Text, nullable=False),
    Column("offset_ms", _Big),
    Column("trusted", Integer, nullable=False),
    Column("occurred_at", _Big, nullable=False),
    Column("received_at", _Big, nullable=False, index=True),
    rowid=False,
)

# One-time codes for joining, by their public part; the secret part is here only as the key stretched from it.
join_codes = _table(
    "join_codes",
    Column("lookup", Text, primary_key=True),
    Column("device_id", Text, ForeignKey("devices.device_id"), nullable=False),
    Column("stretched_key", LargeBinary, nullable=False),
    Column("expires_at", _Big, nullable=False),
    Column("wrong_answers", Integer, nullable=False),
)

# Who this store is (`identity`): one row. Every acknowledgement names store and epoch.
central_identity = _table(
    "central_identity",
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("store_id", Text, nullable=False),
    Column("epoch", _Big, nullable=False),
    Column("run", _Big, nullable=False),
)

# When each epoch but the first began, and why: restored, or found that it had been set back.
epochs = _table(
    "epochs",
    Column("epoch", _Big, primary_key=True, autoincrement=False),
    Column("began_at", _Big, nullable=False),
    Column("reason", Text, nullable=False),
)

# What central had acknowledged, lost when it was set back, and no device has any more. Evidence, no
# accusation.
lost_entries = _table(
    "lost_entries",
    Column("device_id", Text, primary_key=True),
    Column("first_sequence", _Big, primary_key=True, autoincrement=False),
    Column("last_sequence", _Big, nullable=False),
    Column("last_hash", Text, nullable=False),  # the entry that the log goes on after
    Column("epoch", _Big, nullable=False),
    Column("found_at", _Big, nullable=False),
    Column("word", Text, nullable=False),  # central's own acknowledgement of them
    rowid=False,
)

# Backups that were taken, newest last.
backups = _table(
    "backups",
    Column("backup_id", _Big, primary_key=True),
    Column("taken_at", _Big, nullable=False),
    Column("path", Text, nullable=False),
    Column("bytes", _Big, nullable=False),
)

# For how many devices the broker's files were made, newest last.
broker_configs = _table(
    "broker_configs",
    Column("config_id", _Big, primary_key=True),
    Column("made_at", _Big, nullable=False),
    Column("devices", Integer, nullable=False),
)

# The latest leaf of each name in the tree of heads, and up to where a device may let go of its own entries:
# what a checkpoint holds that is older than the backup interval.
checkpoint_heads = _table(
    "checkpoint_heads",
    Column("device_id", Text, primary_key=True),
    Column("sequence", _Big, nullable=False),
    Column("hash", Text, nullable=False),
    Column("safe_sequence", _Big, nullable=False),
    rowid=False,
)

# Signed notes over the heads of all devices, published where outsiders keep them.
checkpoints = _table(
    "checkpoints",
    Column("checkpoint_id", _Big, primary_key=True),
    Column("taken_at", _Big, nullable=False),
    Column("size", _Big, nullable=False),
    Column("root", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("heads", Text, nullable=False),
    Column("peaks", Text),  # JSON: roots of the tree's full parts, so that the next one needs no older leaf
    Column("safe", Integer, nullable=False, server_default="0"),  # 1: older than the backup interval
)

device_status = _table(
    "device_status",
    Column("device_id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("sequence", _Big, nullable=False),
    Column("acknowledged", _Big, nullable=False),
    Column("waiting_since", _Big),
    Column("software", Text, nullable=False),
    Column("said_at", _Big, nullable=False),
    Column("received_at", _Big, nullable=False),
    Column("halted", Text),  # what keeps the device from delivering, in its own words
    Column("status_seconds", _Real),  # how often it says so
    Column("certificate_until", _Big),
    Column("shard", Text),  # over which it said so
)

quarantine = _table(
    "quarantine",
    Column("quarantine_id", _Big, primary_key=True),
    Column("topic", Text, nullable=False),
    Column("device_id", Text),  # as the topic says; it need not exist
    Column("problem", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("sequence", _Big),
    Column("sha256", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("first_received_at", _Big, nullable=False),
    Column("last_received_at", _Big, nullable=False),
    Column("times", _Big, nullable=False),  # a sender that repeats itself fills one row, not the disk
    UniqueConstraint("topic", "problem", "sha256"),
    Index("ix_quarantine_device_id", "device_id"),
)

alarms = _table(
    "alarms",
    Column("alarm_id", _Big, primary_key=True),
    Column("device_id", Text, nullable=False),
    Column("problem", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("sequence", _Big),
    Column("first_at", _Big, nullable=False),
    Column("last_at", _Big, nullable=False),
    Column("times", _Big, nullable=False),
    Column("resolved_at", _Big),
    Index("ix_alarms_device_id_problem", "device_id", "problem"),
)

# When something last happened, by its name: a probe of the store, a night that ended well.
last_times = _table(
    "last_times",
    Column("name", Text, primary_key=True),
    Column("at", _Big, nullable=False),
    rowid=False,
)

audit_runs = _table(
    "audit_runs",
    Column("run_id", Text, primary_key=True),
    Column("from_day", Text, nullable=False),
    Column("to_day", Text, nullable=False),
    Column("state", Text, nullable=False),  # running, done, failed
    Column("step", Text, nullable=False),
    Column("steps_done", Integer, nullable=False),
    Column("steps_total", Integer, nullable=False),
    Column("started_at", _Big, nullable=False),
    Column("finished_at", _Big),
    Column("problem", Text),
    Column("summary", Text),
    Column("folder", Text, nullable=False),
)

# Which run speaks for a service day. Switched in one transaction, so a run is seen whole or not at all.
audit_days = _table(
    "audit_days",
    Column("service_day", Text, primary_key=True),
    Column("run_id", Text, ForeignKey("audit_runs.run_id"), nullable=False),
)

# A line is known by its institution and its id there: two institutions may use one number.
verdicts = _table(
    "verdicts",
    Column("run_id", Text, primary_key=True),
    Column("institution_id", Text, primary_key=True),
    Column("line_id", Text, primary_key=True),
    Column("service_day", Text, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("item_code", Text, nullable=False),
    Column("item_name", Text, nullable=False),
    Column("service_at", _Big, nullable=False),
    Column("quantity", Text, nullable=False),
    Column("amount_fen", _Big, nullable=False),
    Column("at_stake_fen", _Big, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("coverage_ratio", _Real),
    Column("evidence", Text, nullable=False),  # JSON list of ids
    Column("rule_id", Text, nullable=False),
    Column("rule_version", Text, nullable=False),
    Column("ward", Text),  # of the stay at the service time, else the department billed
    Column("doctor_id", Text),
    Column("devices", Text),  # JSON list of the devices whose events the verdict cites; empty in old runs
    Index("ix_verdicts_run_id_service_day", "run_id", "service_day"),
    Index("ix_verdicts_line_id", "line_id"),
    rowid=False,
)

# What each institution sent, by what became of it; the boxes of an institution add up to all of it.
ledger = _table(
    "ledger",
    Column("run_id", Text, primary_key=True),
    Column("institution_id", Text, primary_key=True),
    Column("box", Text, primary_key=True),
    Column("lines", _Big, nullable=False),
    Column("amount_fen", _Big, nullable=False),
    Column("fund_fen", _Big),
    rowid=False,
)

findings = _table(
    "findings",
    Column("run_id", Text, primary_key=True),
    Column("finding_id", Text, primary_key=True),
    Column("service_day", Text, nullable=False),
    Column("rule_id", Text, nullable=False),
    Column("rule_version", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("institution_id", Text, nullable=False),
    Column("person_id", Text),
    Column("line_ids", Text, nullable=False),
    Column("amount_fen", _Big, nullable=False),
    Column("from_at", _Big),
    Column("to_at", _Big),
    Column("evidence", Text, nullable=False),
    Column("explanation_zh", Text, nullable=False),
    Column("explanation_en", Text, nullable=False),
    Column("parameters", Text, nullable=False),
    Index("ix_findings_run_id_service_day", "run_id", "service_day"),
    Index("ix_findings_finding_id", "finding_id"),
    Index("ix_findings_run_id_institution_id", "run_id", "institution_id"),
    rowid=False,
)

# Lines whose answer a later run changed: what each was, and what it became.
verdict_changes = _table(
    "verdict_changes",
    Column("run_id", Text, primary_key=True),  # that changed it
    Column("institution_id", Text, primary_key=True),
    Column("line_id", Text, primary_key=True),
    Column("changed_at", _Big, nullable=False, index=True),
    Column("service_day", Text, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("amount_fen", _Big, nullable=False),
    Column("verdict_before", Text, nullable=False),
    Column("reason_before", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("reason", Text, nullable=False),
    rowid=False,
)

# Lists that somebody gave a name: the address holds all of it.
saved_views = _table(
    "saved_views",
    Column("view_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # lines or findings
    Column("name", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("saved_at", _Big, nullable=False),
    rowid=False,
)

# What messages, files and forms told of inpatient stays, in the order of arrival; `stays` and `leaves` follow
# from it (`adt.stay_journal`) and can be made again. A bed move is an event of kind `transfer`.
stay_events = _table(
    "stay_events",
    Column("event_number", _Big, primary_key=True),
    Column("institution_id", Text, nullable=False),
    Column("visit_id", Text, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("source", Text, nullable=False),  # mllp, file or form
    Column("kind", Text, nullable=False),
    Column("at", _Big, nullable=False),
    Column("recorded_at", _Big, nullable=False),  # as the hospital says
    Column("received_at", _Big, nullable=False),  # as central knows
    Column("message_id", Text),
    Column("admitted_at", _Big),
    Column("discharged_at", _Big),
    Column("department", Text),
    Column("ward", Text),
    Column("bed", Text),
    Column("due_back_at", _Big),
    Column("leave_kind", Text),
    Column("approved_by", Text),
    Column("surname", Text, nullable=False),
    Column("masked_number", Text, nullable=False),
    Column("joined_at", _Big),  # when a merge put it under a visit that had events of its own
    Index("ix_stay_events_institution_id_visit_id", "institution_id", "visit_id"),
)

stays = _table(
    "stays",
    Column("institution_id", Text, primary_key=True),
    Column("visit_id", Text, primary_key=True),
    Column("person_id", Text, nullable=False),
    Column("admitted_at", _Big, nullable=False),
    Column("discharged_at", _Big),
    Column("department", Text),
    Column("ward", Text),
    Column("bed", Text),
    Column("surname", Text, nullable=False),
    Column("masked_number", Text, nullable=False),
    Column("discharge_recorded_at", _Big),  # when central received the word on the discharge that holds
    rowid=False,
)

leaves = _table(
    "leaves",
    Column("institution_id", Text, primary_key=True),
    Column("visit_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("person_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("left_at", _Big, nullable=False),
    Column("due_back_at", _Big),
    Column("returned_at", _Big),
    Column("approved_by", Text, nullable=False),
    Column(
        "recorded_at", _Big, nullable=False
    ),  # when central received it: what is prior to a draw, and what not
    Column("said_at", _Big, nullable=False),  # when the hospital says that it recorded it
    rowid=False,
)

# Numbers that gave way to others, as merge messages told (`adt.renaming`); the audit follows persons'.
person_aliases = _table(
    "person_aliases",
    Column("person_id", Text, primary_key=True),
    Column("alias_of", Text, primary_key=True),
    Column("since", _Big, nullable=False),
    Column("institution_id", Text, nullable=False),  # that told it
    rowid=False,
)
visit_renames = _table(
    "visit_renames",
    Column("institution_id", Text, primary_key=True),
    Column("visit_id", Text, primary_key=True),
    Column("visit_now", Text, nullable=False),
    Column("since", _Big, nullable=False),
    rowid=False,
)

# What became of every message, row and form about a stay. One that was not taken is kept as it came.
stay_messages = _table(
    "stay_messages",
    Column("message_number", _Big, primary_key=True),
    Column("received_at", _Big, nullable=False, index=True),
    Column("source", Text, nullable=False),
    Column("institution_id", Text),
    Column("visit_id", Text),
    Column("message_id", Text),
    Column("trigger", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("payload", LargeBinary),
)

# Rounds of spot checks. Until a round is due, who was drawn stands only in what is sealed.
rounds = _table(
    "rounds",
    Column("round_id", Text, primary_key=True),
    Column("number", _Big, nullable=False, unique=True),
    Column("state", Text, nullable=False),  # committed, drawn, open, published
    Column("committed_at", _Big, nullable=False),
    Column("known_at", _Big, nullable=False),
    Column("due_at", _Big, nullable=False),
    Column("closes_at", _Big, nullable=False),
    Column("drawn_at", _Big),
    Column("published_at", _Big),
    Column("commitment", Text, nullable=False),
    Column("commitment_sha256", Text, nullable=False),
    Column("signed", Text, nullable=False),
    Column("frame", Text, nullable=False),
    Column("people", Text, nullable=False),  # whom the frame's references stand for
    Column("salt", Text, nullable=False),
    Column("assigned", Text, nullable=False),  # institution to device
    Column("sealed_share", LargeBinary, nullable=False),
    Column("wrapped_code", LargeBinary),
    Column("sealed_round", LargeBinary),
    Column("published", Text),
)

round_sheets = _table(
    "round_sheets",
    Column("round_id", Text, ForeignKey("rounds.round_id"), primary_key=True),
    Column("label", Text, primary_key=True),
    Column("device_id", Text, nullable=False, index=True),
    Column("sheet", Text, nullable=False),
    rowid=False,
)

round_checks = _table(
    "round_checks",
    Column("check_id", Text, primary_key=True),
    Column("round_id", Text, ForeignKey("rounds.round_id"), nullable=False, index=True),
    Column("institution_id", Text, nullable=False),
    Column("ward", Text, nullable=False),
    Column("visit_id", Text, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("drawn_at", _Big, nullable=False, index=True),
    Column("due_at", _Big, nullable=False),
    Column("closes_at", _Big, nullable=False),
    Column("left_out", Text),  # why nobody was sent: the stay had ended when the sheet was made
    Column("device_id", Text),  # to whom the sheet was addressed; only that device may answer
    Column("away", Text),  # leaves known when it was drawn, as JSON; null in rounds of earlier versions
    rowid=False,
)

# Who may sign in (`central/access`). An account is never deleted: the access log names it.
accounts = _table(
    "accounts",
    Column("account_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # person, program
    Column("made_at", _Big, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("disabled_at", _Big),
    Column("password_hash", Text),  # argon2id, in the PHC's form; empty until one is chosen
    Column("password_at", _Big),
    Column("subject", Text, unique=True),  # as the bureau's identity provider names the person
    Column("valid_from", _Big),  # a third party's account holds between its contract's dates
    Column("valid_until", _Big),
    rowid=False,
)

account_roles = _table(
    "account_roles",
    Column("account_id", Text, ForeignKey("accounts.account_id"), primary_key=True),
    Column("role", Text, primary_key=True),
    Column("granted_at", _Big, nullable=False),
    Column("granted_by", Text, nullable=False),
    rowid=False,
)

# `tie` is `registered` for whose rows an account sees, `declared` for a tie that keeps it from deciding.
account_institutions = _table(
    "account_institutions",
    Column("account_id", Text, ForeignKey("accounts.account_id"), primary_key=True),
    Column("institution_id", Text, primary_key=True),
    Column("tie", Text, primary_key=True),
    rowid=False,
)

# One-time codes, bearer tokens and sessions: SHA-256 of each, never the thing itself.
account_codes = _table(
    "account_codes",
    Column("code_hash", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.account_id"), nullable=False, index=True),
    Column("made_at", _Big, nullable=False),
    Column("valid_until", _Big, nullable=False),
    rowid=False,
)

account_tokens = _table(
    "account_tokens",
    Column("token_hash", Text, primary_key=True),
    Column("token_id", Text, nullable=False, unique=True),
    Column("account_id", Text, ForeignKey("accounts.account_id"), nullable=False, index=True),
    Column("scopes", Text),  # permissions as JSON; empty: all of its roles
    Column("made_at", _Big, nullable=False),
    Column("valid_until", _Big, nullable=False),
    Column("revoked_at", _Big),
    rowid=False,
)

account_sessions = _table(
    "account_sessions",
    Column("session_hash", Text, primary_key=True),
    Column("session_id", Text, nullable=False, unique=True),
    Column("account_id", Text, ForeignKey("accounts.account_id"), nullable=False, index=True),
    Column("began_at", _Big, nullable=False),
    Column("seen_at", _Big, nullable=False),
    Column("confirmed_at", _Big, nullable=False),  # when the person last showed a password
    Column("ended_at", _Big),
    Column("address", Text, nullable=False),
    Column("browser", Text, nullable=False),
    Column("way", Text, nullable=False, server_default=""),  # by what the person was known; empty before
    Column("id_token", Text),  # of the identity provider, so that signing out there can name the session
    rowid=False,
)

# Second factors. The secret of one-time codes has to be read back: it is sealed under a key beside the store.
account_totp = _table(
    "account_totp",
    Column("account_id", Text, ForeignKey("accounts.account_id"), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("made_at", _Big, nullable=False),
    Column("confirmed_at", _Big),  # when the first right code was shown; it counts from then on
    Column("last_step", _Big, nullable=False),  # of the last code that was taken: no earlier one is
    Column("failures", _Big, nullable=False),
    Column("failed_at", _Big, nullable=False),
    rowid=False,
)

account_recovery_codes = _table(
    "account_recovery_codes",
    Column("code_hash", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.account_id"), nullable=False, index=True),
    Column("made_at", _Big, nullable=False),
    rowid=False,
)

account_passkeys = _table(
    "account_passkeys",
    Column("credential_id", Text, primary_key=True),  # base64url
    Column("account_id", Text, ForeignKey("accounts.account_id"), nullable=False, index=True),
    Column("label", Text, nullable=False),
    Column("public_key", LargeBinary, nullable=False),  # COSE
    Column("sign_count", _Big, nullable=False),
    Column("made_at", _Big, nullable=False),
    Column("used_at", _Big),
    rowid=False,
)

# Who read or changed what of whom (`access.access_log`): chained, and bound by the checkpoints.
access_log = _table(
    "access_log",
    Column("number", _Big, primary_key=True, autoincrement=False),
    Column("at", _Big, nullable=False, index=True),
    Column("account_id", Text, nullable=False, index=True),
    Column("entry", LargeBinary, nullable=False),  # JSON, with the hash of the entry before
    Column("hash", Text, nullable=False),
    rowid=False,
)

access_log_persons = _table(
    "access_log_persons",
    Column("person_id", Text, primary_key=True),
    Column("number", _Big, primary_key=True, autoincrement=False),
    rowid=False,
)

# What is left of entries older than three years: the hashes that checkpoints have bound, and the signed notes
# from which the chain goes on (`access.log_retention`).
access_log_past = _table(
    "access_log_past",
    Column("number", _Big, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("note", Text),  # JWS by central's key, beside the last entry that is gone
    rowid=False,
)

# Which duty an account has done on a thing, so that another account must do the next (`access.separation`).
duties_done = _table(
    "duties_done",
    Column("thing", Text, primary_key=True),
    Column("duty", Text, primary_key=True),
    Column("account_id", Text, primary_key=True),
    Column("done_at", _Big, nullable=False),
    rowid=False,
)

# A role for some hours that two people agreed on; looked at the next day.
emergency_access = _table(
    "emergency_access",
    Column("emergency_id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.account_id"), nullable=False, index=True),
    Column("role", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("asked_at", _Big, nullable=False),
    Column("allowed_by", Text),
    Column("allowed_at", _Big),
    Column("valid_until", _Big),
    Column("reviewed_by", Text),
    Column("reviewed_at", _Big),
    Column("review", Text),
    rowid=False,
)

# A case is what its journal says; rows of cases and doubts are what it has come to, so that lists are fast.
cases = _table(
    "cases",
    Column("case_id", Text, primary_key=True),
    Column("institution_id", Text, nullable=False),
    Column("month", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("due_at", _Big),
    Column("record", LargeBinary, nullable=False),  # the whole case, as JSON
    Index("ix_cases_month_institution_id", "month", "institution_id"),
    rowid=False,
)

doubts = _table(
    "doubts",
    Column("doubt_id", Text, primary_key=True),
    Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False, index=True),
    Column("institution_id", Text, nullable=False),
    Column("month", Text, nullable=False),
    Column("person_id", Text),
    Column("run_id", Text, nullable=False),  # keeps that run's tables
    Column("rule_id", Text, nullable=False),
    Column("rule_version", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("at_stake_fen", _Big, nullable=False),
    Column("amount_fen", _Big, nullable=False),
    Column("billed_fen", _Big, nullable=False),
    Column("fund_fen", _Big),
    Column("issued", Integer, nullable=False),
    Column("contested", Integer, nullable=False),
    Column("accepted_fen", _Big, nullable=False),
    Column("decided_at", _Big),
    Column("deducted_fen", _Big, nullable=False),
    Column("returned_fen", _Big, nullable=False),
    Column("doctor", Text),
    Column("line_id", Text),  # the first of its lines
    Column("verdict", Text),
    Column("confirmed", Integer),
    Column("changed_at", _Big, index=True),  # its last step
    Column("record", LargeBinary, nullable=False),  # the whole doubt, as JSON
    Column("due_at", _Big, index=True),  # the next step; empty where none is due, or the clock stands still
    Column("service_day", Text),  # of its first line, as the newest audit has it; empty when that has none
    Column("billed_by", Text),
    Column("newest", Text),  # verdict
    Index("ix_doubts_month_institution_id_state", "month", "institution_id", "state"),
    # all that lists narrow, order and add up by, so that none reads the records
    Index(
        "ix_doubts_listed",
        "month",
        "state",
        "institution_id",
        "confirmed",
        "at_stake_fen",
        "person_id",
        "rule_id",
        "reason",
        "verdict",
        "newest",
        "service_day",
        "billed_by",
        "due_at",
        "decided_at",
        "case_id",
        "doctor",
        "version",
        "doubt_id",
    ),
    rowid=False,
)

doubt_lines = _table(
    "doubt_lines",
    Column("institution_id", Text, primary_key=True),
    Column("line_id", Text, primary_key=True),
    Column("doubt_id", Text, ForeignKey("doubts.doubt_id"), primary_key=True),
    rowid=False,
)

doubt_evidence = _table(
    "doubt_evidence",
    Column("doubt_id", Text, ForeignKey("doubts.doubt_id"), primary_key=True),
    Column("evidence", LargeBinary, nullable=False),  # as it was hashed, JSON
)

# Notes of colleagues on doubts; the case's journal holds the hash of each.
doubt_comments = _table(
    "doubt_comments",
    Column("comment_id", Text, primary_key=True),
    Column("doubt_id", Text, ForeignKey("doubts.doubt_id"), nullable=False, index=True),
    Column("of_institution", Integer, nullable=False),  # by its people, for its people; 0 the bureau's
    Column("account_id", Text, nullable=False),
    Column("at", _Big, nullable=False),
    Column("text", Text, nullable=False),
    rowid=False,
)

# Lists of doubts that an account has given a name.
doubt_filters = _table(
    "doubt_filters",
    Column("filter_id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.account_id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("saved_at", _Big, nullable=False),
    rowid=False,
)

# Devices' signed batches that frozen evidence names, each once whatever names it.
frozen_batches = _table(
    "frozen_batches",
    Column("sha256", Text, primary_key=True),
    Column("envelope", LargeBinary, nullable=False),  # as the device signed it, compressed (zlib)
)

doubt_votes = _table(
    "doubt_votes",
    Column("doubt_id", Text, ForeignKey("doubts.doubt_id"), primary_key=True),
    Column("account_id", Text, primary_key=True),
    Column("vote", LargeBinary, nullable=False),  # JSON, with the salt of its seal
    rowid=False,
)

case_journal = _table(
    "case_journal",
    Column("case_id", Text, ForeignKey("cases.case_id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("entry", LargeBinary, nullable=False),
    Column("hash", Text, nullable=False),
    Column("signature", LargeBinary, nullable=False),  # central's, over case, number and hash
    rowid=False,
)

# What an institution has found and returned itself; only what has a proof counts for anything.
self_corrections = _table(
    "self_corrections",
    Column("correction_id", Text, primary_key=True),
    Column("institution_id", Text, nullable=False),
    Column("line_id", Text, nullable=False),
    Column("amount_fen", _Big, nullable=False),
    Column("declared_at", _Big, nullable=False),
    Column("declared_by", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("proof", Text),  # reversal or receipt; empty while the return is only declared
    Column("reference", Text),  # ids of the reversing lines, or the receipt's number
    Column("proven_at", _Big),
    Column("proven_by", Text),
    UniqueConstraint("institution_id", "line_id", name="uq_self_corrections_institution_id"),
    rowid=False,
)

# What an institution took back before it submitted it; it counts once the claims show that it stayed away.
withheld_lines = _table(
    "withheld_lines",
    Column("institution_id", Text, primary_key=True),
    Column("line_id", Text, primary_key=True),
    Column("visit_id", Text, nullable=False),
    Column("item_code", Text, nullable=False),
    Column("service_day", Text, nullable=False),
    Column("alike", Integer, nullable=False),  # lines of the checked file with this visit, item and day
    Column("amount_fen", _Big, nullable=False),
    Column("rule_id", Text, nullable=False),
    Column("file_hash", Text, nullable=False),  # SHA-256 of what was checked
    Column("taken_at", _Big, nullable=False),
    Column("taken_by", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("proven_at", _Big),  # since when the claims bear it out
    rowid=False,
)

# What somebody is told of cases, each once, and what became of sending it.
notices = _table(
    "notices",
    Column("notice_id", Text, primary_key=True),
    Column("at", _Big, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("audience", Text, nullable=False),  # an institution, or the bureau
    Column("subject", Text, nullable=False),  # a case, or the number of a change of a rule's power
    Column("stage", Text, nullable=False),
    UniqueConstraint("kind", "audience", "subject", "stage", name="uq_notices_kind"),
    rowid=False,
)

notice_sends = _table(
    "notice_sends",
    Column("notice_id", Text, ForeignKey("notices.notice_id"), primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("tries", Integer, nullable=False),
    Column("next_at", _Big, index=True),  # empty when it was taken, or given up
    Column("sent_at", _Big),
    Column("problem", Text),  # of the last try
    rowid=False,
)

# Enforcement files beside cases, and their journals.
penalties = _table(
    "penalties",
    Column("penalty_id", Text, primary_key=True),
    Column("institution_id", Text, nullable=False, index=True),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("due_at", _Big),
    Column("record", LargeBinary, nullable=False),  # the whole file, as JSON
    rowid=False,
)

penalty_journal = _table(
    "penalty_journal",
    Column("penalty_id", Text, ForeignKey("penalties.penalty_id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("entry", LargeBinary, nullable=False),
    Column("hash", Text, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    rowid=False,
)

# Institutions below the in-bed threshold that were asked to explain themselves, and the journals of it.
summonses = _table(
    "summonses",
    Column("summons_id", Text, primary_key=True),
    Column("institution_id", Text, nullable=False, index=True),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("issued_at", _Big, nullable=False),
    Column("record", LargeBinary, nullable=False),  # the whole summons, as JSON
    rowid=False,
)

summons_journal = _table(
    "summons_journal",
    Column("summons_id", Text, ForeignKey("summonses.summons_id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("entry", LargeBinary, nullable=False),
    Column("hash", Text, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    rowid=False,
)

# How far a rule may go, change by change: chained and signed like a case's journal.
patient_questions = _table(
    "patient_questions",
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("doubt_id", Text, ForeignKey("doubts.doubt_id"), nullable=False, index=True),
    Column("act", Text, nullable=False),  # `put`, or what came of a call
    Column("at", _Big, nullable=False),
    Column("due_at", _Big, nullable=False),  # until when it can be answered
    Column("account_id", Text, nullable=False),
    Column("entry", LargeBinary, nullable=False),
    Column("hash", Text, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    rowid=False,
)

rule_powers = _table(
    "rule_powers",
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("rule_id", Text, nullable=False),
    Column("rule_version", Text, nullable=False),
    Column("power", Text, nullable=False),
    Column("at", _Big, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("entry", LargeBinary, nullable=False),
    Column("hash", Text, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    rowid=False,
)

attachments = _table(
    "attachments",
    Column("attachment_id", Text, primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("institution_id", Text),
    Column("added_at", _Big, nullable=False),
    Column("kind", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

# Consents withdrawn: each makes an order for every device that was in use (`central/privacy`).
withdrawals = _table(
    "withdrawals",
    Column("withdrawal_id", Text, primary_key=True),  # of one asked at a device, its event's id
    Column("person_id", Text, nullable=False, index=True),
    Column("withdrawn_at", _Big, nullable=False),
    Column("learned_at", _Big, nullable=False),
    Column("origin", Text, nullable=False),  # console, shell, device
    Column("asked_by", Text, nullable=False),  # the account, or the device
    Column("institution_id", Text),
    Column("shares_destroyed", Integer),  # how many halves of keys; empty while that is to be done
)

# What a device is to do about a person's data, and its signed answer.
privacy_orders = _table(
    "privacy_orders",
    Column("order_id", Text, primary_key=True),
    Column("device_id", Text, ForeignKey("devices.device_id"), nullable=False),
    Column("act", Text, nullable=False),
    Column("subject_id", Text, nullable=False, index=True),  # the withdrawal
    Column("person_id", Text, nullable=False),
    Column("issued_at", _Big, nullable=False),
    Column("issued_order", LargeBinary, nullable=False),
    Column("answered_at", _Big),
    Column("outcome", Text),
    Column("certificate", Text),  # as the device signed it; empty where a person settled it
    Column("settled_by", Text),
    Column("settled_reason", Text),
    Index("ix_privacy_orders_device_id_answered_at", "device_id", "answered_at"),
)

# What each person said to each version of a notice on each device, drawn from the log (`privacy.learning`).
consents = _table(
    "consents",
    Column("person_id", Text, primary_key=True),
    Column("device_id", Text, primary_key=True),
    Column("notice", Text, primary_key=True),
    Column("notice_version", Text, primary_key=True),
    Column("institution_id", Text, nullable=False),
    Column("seen_at", _Big),
    Column("said_at", _Big),
    Column("given", Integer),
    Column("guardian", Text),
    Column("text_sha256", Text),
    Column("withdrawn_at", _Big),
    rowid=False,
)

privacy_cursors = _table(
    "privacy_cursors",
    Column("device_id", Text, primary_key=True),
    Column("sequence", _Big, nullable=False),
    rowid=False,
)

# Certificates of nightly deletions, each with the hash of the one before (`privacy.retention`).
deletion_certificates = _table(
    "deletion_certificates",
    Column("number", _Big, primary_key=True),
    Column("at", _Big, nullable=False),
    Column("certificate", Text, nullable=False),
)

# Requests of persons about their own data (`privacy.requests`).
privacy_requests = _table(
    "privacy_requests",
    Column("request_id", Text, primary_key=True),
    Column("person_id", Text, nullable=False),
    Column("kind", Text, nullable=False),  # copy, correct, delete, who_looked, explain
    Column("asked_at", _Big, nullable=False),
    Column("taken_by", Text, nullable=False),
    Column("due_at", _Big, nullable=False),
    Column("due_explained", Text, nullable=False),
    Column("answered_at", _Big),
    Column("outcome", Text),  # answered, refused
    Column("reason", Text),
    Column("note", Text),
    Column("withdrawal_id", Text),  # that a deletion began
    rowid=False,
)

# Crops asked for, one for one doubt or finding (`privacy.crops`).
crop_requests = _table(
    "crop_requests",
    Column("request_id", Text, primary_key=True),
    Column("subject", Text, nullable=False),  # doubt, finding
    Column("subject_id", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("device_id", Text, nullable=False),
    Column("institution_id", Text, nullable=False),
    Column("person_id", Text, nullable=False, index=True),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", _Big, nullable=False),
    Column("allowed_by", Text),  # or refused by
    Column("allowed_at", _Big),
    Column("refused_at", _Big),
    Column("answered_at", _Big),
    Column("outcome", Text),  # as the device certified it
    Column("shown_at", _Big),
    Column("deleted_at", _Big),
    rowid=False,
)
