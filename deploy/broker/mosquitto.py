"""Mosquitto's configuration for production, from one template, and its ACL from the one access rule."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from renzheng.contracts.ids import topic_level
from renzheng.contracts.topics import ROOT
from renzheng.deploy.broker.access import CENTRAL_USER
from renzheng.deploy.broker.embedded import Tls

TEMPLATE = "mosquitto.conf.template"


@dataclass(frozen=True, slots=True)
class MosquittoSite:
    """Where one site's Mosquitto listens and keeps its files.

    Args:
        log: a destination in Mosquitto's words, such as ``stderr`` or ``file /var/log/mosquitto/site.log``.
    """

    tls: Tls
    acl: Path
    host: str = "0.0.0.0"  # noqa: S104 - devices come from other machines, each with its certificate
    port: int = 8883
    log: str = "stderr"


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
        log=site.log,
    )


def render_acl(revoked: Iterable[str] = ()) -> str:
    """Write the access rule as Mosquitto's ACL; `revoked` users are denied everything.

    Mosquitto reads the file again on SIGHUP and asks it for every message, so a revocation takes effect on
    connections that are open, too.
    """
    lines = [
        f"pattern write {ROOT}/+/%u/up/log",
        f"pattern write {ROOT}/+/%u/up/status",
        f"pattern read {ROOT}/+/%u/down/ack",
        f"pattern read {ROOT}/+/%u/down/command",
        "",
        f"user {CENTRAL_USER}",
        f"topic read {ROOT}/+/+/up/log",
        f"topic read {ROOT}/+/+/up/status",
        f"topic write {ROOT}/+/+/down/ack",
        f"topic write {ROOT}/+/+/down/command",
    ]
    for user in sorted(set(revoked)):
        lines += ["", f"user {topic_level(user, 'device id')}", f"topic deny {ROOT}/#"]
    return "\n".join(lines) + "\n"
