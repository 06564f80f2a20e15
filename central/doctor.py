"""What `renzheng doctor` looks at of a central: its files, store, broker, nights, backups and imports."""

import http.client
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from renzheng.central.nightly.partitions import FROM_STORE
from renzheng.central.settings import Settings
from renzheng.central.store import schema
from renzheng.central.store.database import Database
from renzheng.central.store.faults import describe
from renzheng.central.store.times import from_us, to_us
from renzheng.central.watch.problems import NIGHT_HOURS
from renzheng.central.watch.watch import certificate_files
from renzheng.common import doctor
from renzheng.common.doctor import BrokerAddress, DoctorFinding, State
from renzheng.contracts.errors import RenzhengError

UNITS = ("renzheng-central.service", "renzheng-night.timer")
NEEDED_TABLES = ("claim_lines", "persons", "item_catalogue", "institutions")
"""Imported tables without which a night cannot answer for a line."""


def examine(settings: Settings, config: Path, now: datetime) -> Iterator[DoctorFinding]:
    """Look at everything that a central on this machine needs, one finding after another.

    Args:
        settings: as read.
        config: the file that they come from, for the commands in the findings.
        now: aware.
    """
    of_store, newest = _store(settings, config, now)
    yield from doctor.look_at_clock(now, newest)
    yield from doctor.look_at_disk(settings.data_dir)
    yield from doctor.look_at_account(settings.data_dir)
    yield from _files(settings, config, now)
    yield from of_store
    broker = settings.broker
    own = BrokerAddress(broker.host, broker.port, broker.ca_file, broker.certificate_file, broker.key_file)
    yield from doctor.look_at_broker(own, "broker.host")
    yield from _service(settings)
    yield from _imports(settings)
    for unit in UNITS:
        yield from doctor.look_at_unit(unit)


def _files(settings: Settings, config: Path, now: datetime) -> Iterator[DoctorFinding]:
    secrets = {
        "key of central": settings.key_file,
        "access_token_file": settings.access_token_file,
        "broker.key_file": settings.broker.key_file,
        "broker.password_file": settings.broker.password_file,
        "adt.key_file": settings.adt.key_file,
    }
    yield from doctor.look_at_secrets(secrets)
    if settings.site.listen_host is None:
        yield DoctorFinding(
            "Devices cannot join: site.listen_host is not set.",
            "joining",
            "warning",
            do=f"Set it to this machine's address in {config}, then: systemctl restart renzheng-central",
        )
    for name, path in certificate_files(settings).items():
        yield from doctor.look_at_certificate(path, name, now, f"renzheng central renew --config {config}")


def _store(settings: Settings, config: Path, now: datetime) -> tuple[list[DoctorFinding], datetime | None]:
    """Look at the store; return what was found, and the latest moment at which it took something in."""
    found: list[DoctorFinding] = []
    newest = None
    here = sa.make_url(settings.database).database
    if settings.database.startswith("sqlite") and not Path(str(here)).is_file():
        return [_no_store(config)], None  # to open it would make it
    if settings.database.startswith("sqlite") and not doctor.is_owner(Path(str(here))):
        return [DoctorFinding("The store is another account's and was not opened.", "store", "unknown")], None
    database = None
    try:
        database = Database(settings.database, connections=0)
        with database.reading() as connection:
            empty = not sa.inspect(connection).has_table("log_entries")
        if empty:
            return [_no_store(config)], None
        database.probe(to_us(now))
        found.append(DoctorFinding(f"The store ({database.backend}) answers and takes a write.", "store"))
        with database.reading() as connection:
            received = connection.execute(sa.select(sa.func.max(schema.log_entries.c.received_at))).scalar()
            newest = from_us(received) if received is not None else None
            found += _of_store(connection, settings, config, now)
    except (sa.exc.SQLAlchemyError, RenzhengError, OSError) as error:
        why = error.what if isinstance(error, RenzhengError) else describe(error)
        found.append(
            DoctorFinding(
                f"The store cannot be used: {why}",
                "store",
                "fault",
                do="Check database_url, that the server runs, and whose the files are.",
            )
        )
    finally:
        if database is not None:
            database.close()
    return found, newest


def _no_store(config: Path) -> DoctorFinding:
    return DoctorFinding(
        "There is no store yet: central has never run here.",
        "store",
        "fault",
        do=f"renzheng central init, then: renzheng central run --config {config}",
    )


def _of_store(
    connection: sa.Connection, settings: Settings, config: Path, now: datetime
) -> Iterator[DoctorFinding]:
    runs, backups, alarms = schema.audit_runs, schema.backups, schema.alarms
    ended = sa.select(sa.func.max(runs.c.finished_at)).where(runs.c.state == "done")
    night = connection.execute(ended).scalar()
    state, hours = _age(now, night, NIGHT_HOURS)
    do = "" if state == "ok" else f"renzheng central night --config {config}"
    if night is None:
        yield DoctorFinding("No night was audited yet.", "night", state, do)
    else:
        yield DoctorFinding(f"The last night was audited {hours:.0f} hours ago.", "night", state, do)
    taken = connection.execute(sa.select(sa.func.max(backups.c.taken_at))).scalar()
    state, hours = _age(now, taken, 2 * settings.backup.interval_hours)
    do = "" if state == "ok" else f"renzheng central backup FOLDER --config {config}"
    if taken is None:
        yield DoctorFinding("No backup was taken yet.", "backup", state, do)
    else:
        yield DoctorFinding(f"The last backup was taken {hours:.0f} hours ago.", "backup", state, do)
    still = sa.select(sa.func.count()).select_from(alarms).where(alarms.c.resolved_at.is_(None))
    count = connection.execute(still).scalar_one()
    if count:
        yield DoctorFinding(
            f"{count} alarms are open.",
            "alarms",
            "warning",
            do=f"renzheng central alarms --config {config}, or the page of current problems",
        )


def _age(now: datetime, last_us: int | None, most_hours: float) -> tuple[State, float]:
    """Judge what must come again and again by the hours since the last time."""
    if last_us is None:
        return "warning", 0.0
    hours = max((now - from_us(last_us)).total_seconds() / 3600, 0.0)
    return ("fault" if hours > most_hours else "ok"), hours


def _service(settings: Settings) -> Iterator[DoctorFinding]:
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared
    where = f"{host}:{settings.port}"
    try:
        health = doctor.ask_health(host, settings.port, "workers", dict)
    except ConnectionRefusedError:
        yield DoctorFinding(
            f"Nothing answers on {where}: central does not run.",
            "service",
            "fault",
            do="systemctl start renzheng-central; journalctl -u renzheng-central -n 50",
        )
        return
    except (OSError, ValueError, http.client.HTTPException) as error:
        yield DoctorFinding(
            f"What answers on {where} is not central: {error}.",
            "service",
            "fault",
            do="Give central another port, or stop the other program: ss -ltnp",
        )
        return
    if health.get("state") == "ok":
        yield DoctorFinding(f"Central runs on {where} and is well.", "service")
        return
    ill = ", ".join(f"{name} {said}" for name, said in health["workers"].items() if said != "ok") or "-"
    yield DoctorFinding(
        f"Central runs on {where} and is not well: {ill}.",
        "service",
        "fault",
        do="See the page of current problems: /problems",
    )


def _imports(settings: Settings) -> Iterator[DoctorFinding]:
    there = {path.stem for path in settings.tables_dir.glob("*.*")} if settings.tables_dir.is_dir() else set()
    for name in NEEDED_TABLES:
        if name not in there and name not in FROM_STORE:
            yield DoctorFinding(
                f"The table {name} was never imported: nights cannot answer for every line.",
                "imports",
                "warning",
                do="See the page of data: /data",
            )
