"""Every service of one machine listens on a port of its own unless somebody says otherwise."""

import json
import re
from pathlib import Path

from pydantic import BaseModel

from renzheng.central.settings import Settings as CentralSettings
from renzheng.deploy.broker.mosquitto import MosquittoSite
from renzheng.deploy.demo import command as demo
from renzheng.edge.settings import Settings as EdgeSettings

UNITS = Path(__file__).resolve().parents[3] / "deploy" / "systemd"
OF_THE_BROKER = {"edge.link.port", "central.broker.port", "central.site.broker_port"}
"""Settings that name the broker's port and open none."""

NEEDS_A_NUMBER = {"central.adt.port"}
"""Off until somebody names a port."""


def ports_of(model, name):
    """Every setting named like a port, with its default."""
    found = {}
    for field, info in model.model_fields.items():
        path = f"{name}.{field}"
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            found |= ports_of(info.annotation, path)
        elif field == "port" or field.endswith("_port"):
            found[path] = info.default
    return found


PORTS = ports_of(EdgeSettings, "edge") | ports_of(CentralSettings, "central")
LISTENING = {path: port for path, port in PORTS.items() if path not in OF_THE_BROKER | NEEDS_A_NUMBER}


def test_the_settings_that_open_no_port_exist():
    assert set(PORTS) >= OF_THE_BROKER | NEEDS_A_NUMBER
    assert all(PORTS[path] is None for path in NEEDS_A_NUMBER)


def test_no_two_services_listen_on_one_port():
    broker = {"broker": PORTS["central.site.broker_port"], "broker, plain": PORTS["edge.link.port"]}
    ports = LISTENING | broker
    assert len(set(ports.values())) == len(ports), ports
    assert len(ports) >= 7


def test_the_units_name_the_ports_of_the_settings():
    named = {
        int(port)
        for unit in UNITS.iterdir()
        for port in re.findall(r"(?:127\.0\.0\.1|localhost|\[::1\]):(\d{2,5})", unit.read_text("utf-8"))
    }
    assert named, "no unit names a port"
    assert named <= set(LISTENING.values())
    policy = json.loads((UNITS / "chromium-policy.json").read_text("utf-8"))
    assert policy["URLAllowlist"] == [f"http://127.0.0.1:{LISTENING['edge.kiosk.port']}"]


def test_the_demo_takes_the_ports_of_the_settings():
    assert (LISTENING["central.port"], LISTENING["edge.kiosk.port"]) == (demo.CENTRAL_PORT, demo.KIOSK_PORT)


def test_the_broker_listens_where_the_site_says():
    assert MosquittoSite.__dataclass_fields__["port"].default == PORTS["central.site.broker_port"]
