"""What `renzheng doctor` looks at of a clinic's machine: clock, disk, keys, models, broker, API, agent."""

import contextlib
import http.client
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from renzheng.common import doctor
from renzheng.common.doctor import BrokerAddress, DoctorFinding
from renzheng.edge.settings import Settings
from renzheng.models.catalogue.cards import cards
from renzheng.models.catalogue.files import State, inspect
from renzheng.models.engine import ready_engines

AgentName = Literal["edge", "ward", "bedside", "counter", "machine"]
AGENTS: Mapping[str, AgentName] = {name: name for name in ("ward", "bedside", "counter", "machine")}
STORE = "device.sqlite"


def agent_of(config: Path) -> AgentName:
    """Tell by a settings file's name which agent it is of, as the units name them; else the kiosk's."""
    return AGENTS.get(config.stem, "edge")


def examine(settings: Settings, config: Path, now: datetime) -> Iterator[DoctorFinding]:
    """Look at everything that an agent on this machine needs, one finding after another.

    Args:
        settings: as read.
        config: the file that they come from.
        now: aware.
    """
    device, link, agent = settings.device, settings.link, agent_of(config)
    yield from doctor.look_at_clock(now, _newest(device.data_dir / STORE))
    yield from doctor.look_at_disk(device.data_dir)
    yield from doctor.look_at_account(device.data_dir)
    secrets = {
        "device.template_key_file": device.template_key_file,
        "link.key_file": link.key_file,
        "link.password_file": link.password_file,
    }
    yield from doctor.look_at_secrets(secrets)
    renew = f"Join again with a code from the bureau: renzheng device join --config {config}"
    for name, path in (("link.certificate_file", link.certificate_file), ("link.ca_file", link.ca_file)):
        if path is not None:
            yield from doctor.look_at_certificate(path, name, now, renew)
    yield from _central(settings)
    if agent != "machine":  # it looks at nobody, and listens nowhere
        yield from _models(settings)
        yield from _agent(settings, agent)
    yield from doctor.look_at_unit(f"renzheng-{agent}.service")


def _newest(store: Path) -> datetime | None:
    """Read when the device last wrote that it is alive; None where there is nothing to read."""
    if not store.is_file() or not doctor.is_owner(store):
        return None
    try:
        with contextlib.closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT last_beat FROM heartbeat").fetchone()
        return datetime.fromisoformat(row[0]).astimezone(UTC) if row else None
    except (sqlite3.Error, ValueError, TypeError):
        return None


def _central(settings: Settings) -> Iterator[DoctorFinding]:
    link, bulk = settings.link, settings.bulk
    if link.host is None:
        yield DoctorFinding(
            "The device has not joined a site: events are kept here and sent nowhere.",
            "joining",
            "warning",
            do="Get a code from the bureau, then: renzheng device join",
        )
        return
    own = BrokerAddress(link.host, link.port, link.ca_file, link.certificate_file, link.key_file)
    yield from doctor.look_at_broker(own, "link.host")
    if bulk.url is None:
        yield DoctorFinding(
            "bulk.url is not set: rosters and rounds do not come by themselves.",
            "api",
            "warning",
            do="Set it to central's address for devices, https://...:8701, in the settings.",
        )
        return
    at = urlsplit(bulk.url)
    address = BrokerAddress(at.hostname or "", at.port or 443, bulk.ca_file, None, None)
    for one in doctor.look_at_broker(address, "bulk.url"):
        if one.state == "ok":
            yield DoctorFinding(f"Central's address for devices, {bulk.url}, takes connections.", "api")
        else:
            yield DoctorFinding(
                f"Central's address for devices, {bulk.url}, is not reached.",
                "api",
                one.state,
                do="On central: renzheng doctor --config central.toml; then the firewall between.",
            )


def _models(settings: Settings) -> Iterator[DoctorFinding]:
    ready = ready_engines(settings.face.model_dir)
    wanted = settings.face.engine
    if not ready or (wanted != "best" and wanted not in ready):
        yield DoctorFinding(
            f"The files of the face engine {wanted} are not on this machine.",
            "models",
            "fault",
            do="renzheng models convert; renzheng models list",
        )
    for found in (inspect(known) for known in cards().values()):
        if found.state in (State.ALTERED, State.UNFIT):
            yield DoctorFinding(
                f"The model file {found.path} is not what its card says.",
                "models",
                "fault",
                do=f"Remove it and bring it in again: renzheng models add FILE ({found.card.name})",
            )
    if ready:
        yield DoctorFinding(f"The face engine {wanted if wanted != 'best' else ready[0]} is ready.", "models")


def _agent(settings: Settings, agent: AgentName) -> Iterator[DoctorFinding]:
    host, port = {
        "edge": (settings.kiosk.host, settings.kiosk.port),
        "ward": (settings.ward.health_host, settings.ward.health_port),
        "bedside": (settings.bedside.host, settings.bedside.port),
        "counter": (settings.counter.host, settings.counter.port),
    }[agent]
    secure = agent == "bedside" and settings.bedside.certificate_file is not None
    try:
        health = doctor.ask_health(host, port, "device_id", str, secure=secure)
    except ConnectionRefusedError:
        yield DoctorFinding(
            f"Nothing answers on port {port}: the agent does not run.",
            "agent",
            "fault",
            do=f"systemctl start renzheng-{agent}; journalctl -u renzheng-{agent} -n 50",
        )
        return
    except (OSError, ValueError, http.client.HTTPException) as error:
        yield DoctorFinding(
            f"What answers on port {port} is not the agent: {error}.",
            "agent",
            "fault",
            do="Give the agent another port, or stop the other program: ss -ltnp",
        )
        return
    if health.get("halted"):
        yield DoctorFinding(
            f"The agent is halted: {health['halted']}.",
            "agent",
            "fault",
            do="See the page of this device on central's console; it says which command ends it.",
        )
    elif not health.get("connected") and settings.link.host is not None:
        yield DoctorFinding(
            "The agent runs and has no connection to the broker; it keeps its events.",
            "agent",
            "warning",
            do="See what is said of the broker above.",
        )
    elif health.get("state") not in (None, "up"):
        yield DoctorFinding(
            f"The agent runs, but its coverage is {health.get('state')} ({health.get('cause') or '-'}).",
            "agent",
            "warning",
            do=f"journalctl -u renzheng-{agent} -n 50",
        )
    else:
        yield DoctorFinding("The agent runs and is well.", "agent")
