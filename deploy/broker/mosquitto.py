"""Mosquitto's configuration for production, from one template; its lists are central's."""

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template

from renzheng.central.ingest.consumer import RECEIVE_MAXIMUM
from renzheng.contracts.log import MAX_BATCH_BYTES
from renzheng.deploy.broker.embedded import Tls
from renzheng.edge.device.link.sender import WINDOW

TEMPLATE = "mosquitto.conf.template"
FEWEST_DEVICES = 50
"""A site has room for so many, and for twice those that are registered."""
STATUSES = 2
FEWEST_IN_FLIGHT = 20
LEAST_BYTES, MOST_BYTES = 64 << 20, 1 << 30
"""Of what waits for one subscriber; central's queue is the only long one."""
OWN_FILES = 1_024
FILES_A_DEVICE = 3
"""Its connection, the one that it opens while the broker still holds the old, and one to spare."""


@dataclass(frozen=True, slots=True)
class BrokerLimits:
    """What one broker holds.

    Args:
        devices: for how many.
        inflight: messages on their way to one subscriber, not yet acknowledged.
        queued_messages: waiting for one subscriber beyond those.
        queued_bytes: of the same.
        open_files: descriptors (`LimitNOFILE` of its unit).
    """

    devices: int
    inflight: int
    queued_messages: int
    queued_bytes: int
    open_files: int


def limits_for(registered: int) -> BrokerLimits:
    """Work out a broker's limits from the number of registered devices."""
    devices = max(FEWEST_DEVICES, 2 * registered)
    return BrokerLimits(
        devices,
        inflight=min(max(FEWEST_IN_FLIGHT, WINDOW * devices), RECEIVE_MAXIMUM),
        queued_messages=(WINDOW + STATUSES) * devices,
        queued_bytes=min(max(LEAST_BYTES, WINDOW * devices * MAX_BATCH_BYTES), MOST_BYTES),
        open_files=OWN_FILES + FILES_A_DEVICE * devices,
    )


@dataclass(frozen=True, slots=True)
class MosquittoSite:
    """Where one site's Mosquitto listens and keeps its files.

    Args:
        acl: who may read and write what; read again on SIGHUP.
        crl: which certificates are revoked; read again on SIGHUP.
        limits: what it holds, by the number of devices.
        log: a destination in Mosquitto's words, such as ``stderr`` or ``file /var/log/mosquitto/site.log``.
    """

    tls: Tls
    acl: Path
    crl: Path
    host: str = "0.0.0.0"  # noqa: S104 - devices come from other machines, each with its certificate
    port: int = 8883
    log: str = "stderr"
    limits: BrokerLimits = field(default_factory=lambda: limits_for(0))


def render_config(site: MosquittoSite) -> str:
    """Fill the template in."""
    template = Template(files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8"))
    return template.substitute(
        host=site.host,
        port=site.port,
        ca=site.tls.ca,
        certificate=site.tls.certificate,
        key=site.tls.key,
        acl=site.acl,
        crl=site.crl,
        log=site.log,
        devices=site.limits.devices,
        window=WINDOW,
        inflight=site.limits.inflight,
        queued_messages=site.limits.queued_messages,
        queued_bytes=site.limits.queued_bytes,
    )


def render_unit(limits: BrokerLimits) -> str:
    """Write what Mosquitto's own unit is to be given beside its settings (a drop-in)."""
    return (
        "# Made by `renzheng central broker-config`: /etc/systemd/system/mosquitto.service.d/renzheng.conf\n"
        f"# For {limits.devices} devices.\n[Service]\nLimitNOFILE={limits.open_files}\n"
    )
