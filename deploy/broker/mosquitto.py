"""Mosquitto's configuration for production, from one template; its lists are central's."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from renzheng.deploy.broker.embedded import Tls

TEMPLATE = "mosquitto.conf.template"


@dataclass(frozen=True, slots=True)
class MosquittoSite:
    """Where one site's Mosquitto listens and keeps its files.

    Args:
        acl: who may read and write what; read again on SIGHUP.
        crl: which certificates are revoked; read again on SIGHUP.
        log: a destination in Mosquitto's words, such as ``stderr`` or ``file /var/log/mosquitto/site.log``.
    """

    tls: Tls
    acl: Path
    crl: Path
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
        crl=site.crl,
        log=site.log,
    )
