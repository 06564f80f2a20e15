"""What a ward agent says of itself to operators: health as JSON, metrics for Prometheus; nobody is named."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from renzheng.common.metrics import Family, Kind, write
from renzheng.common.supervised import Workers, health_of
from renzheng.contracts.events import CoverageState
from renzheng.edge.device.clock import Clock
from renzheng.edge.device.coverage import Standing
from renzheng.edge.device.housekeeping import Housekeeper
from renzheng.edge.device.link.uplink import Uplink
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.metrics import each, of_workers, one
from renzheng.edge.device.store import heartbeat
from renzheng.edge.device.store.inpatients import Inpatients
from renzheng.edge.ward.lists import WardLists
from renzheng.edge.ward.telling import Telling
from renzheng.edge.ward.watch import CameraWatch


class Parts(Protocol):
    """The parts of a ward agent that are reported on."""

    log: DeviceLog
    clock: Clock
    link: Uplink | None
    housekeeper: Housekeeper
    inpatients: Inpatients
    lists: WardLists
    telling: Telling
    watches: list[CameraWatch]
    workers: Workers

    def standing(self) -> Standing:
        """Whether all cameras see, and why not."""


def health(agent: Parts) -> dict[str, Any]:
    """What an operator asks first."""
    standing = agent.standing()
    kept_at = agent.inpatients.kept_at()
    return {
        "device_id": agent.log.device_id,
        "sequence": agent.log.head().sequence,
        "acknowledged": agent.log.acknowledged(),
        "connected": agent.link is not None and agent.link.connected,
        "state": standing.state.value,
        "cause": standing.cause,
        "clock_trusted": agent.clock.read().trusted,
        "disk_short": agent.housekeeper.short,
        "roster_kept_at": None if kept_at is None else kept_at.isoformat(),
        "roster": agent.lists.trouble or "in_force",
        "lists": {ward: _list_sizes(agent, ward) for ward in sorted(_wards(agent))},
        "cameras": {watch.camera.settings.id: _camera(watch) for watch in agent.watches},
        "alarms": heartbeat.alarms(agent.log.store),
        "workers": health_of(agent.workers.states()),
        "moving": agent.workers.moving(),
    }


def metrics(agent: Parts) -> str:
    """What Prometheus may ask for."""
    head = agent.log.head().sequence
    watches = agent.watches
    return write(
        [
            one("log_entries", "untyped", "Entries written to the log.", head),
            one("backlog_entries", "gauge", "Entries not acknowledged.", head - agent.log.acknowledged()),
            one("ward_presences_total", "counter", "Presences told.", agent.telling.told),
            one("clock_trusted", "gauge", "1 while the clock is synchronised.", agent.clock.read().trusted),
            _per_camera("up", "gauge", "1 while a camera sees.", watches, _sees),
            _per_camera("pictures_total", "counter", "Pictures decoded.", watches, _pictures),
            _per_camera("analysed_total", "counter", "Pictures looked at.", watches, _analysed),
            _per_camera("on_time_total", "counter", "Of them, in time.", watches, _on_time),
            _per_camera("replaced_total", "counter", "Pictures not looked at.", watches, _replaced),
            _per_camera("connections_total", "counter", "Times connected.", watches, _connections),
            _per_camera("analysis_cpu_seconds", "untyped", "Spent on looking.", watches, _cpu_seconds),
            *of_workers(agent.workers.states()),
        ]
    )


def _wards(agent: Parts) -> set[str]:
    return {watch.camera.settings.ward for watch in agent.watches}


def _list_sizes(agent: Parts, ward: str) -> Mapping[str, int] | None:
    found = agent.lists.of(ward)
    return None if found is None else {"inpatients": found.listed, "looked_for": len(found.gallery)}


def _camera(watch: CameraWatch) -> dict[str, Any]:
    standing = watch.standing()
    return {
        "state": standing.state.value,
        "cause": standing.cause,
        "place": watch.camera.settings.place,
        "pictures": watch.camera.counts.pictures,
        "analysed": watch.numbers.analysed,
        "on_time": watch.numbers.on_time,
        "half_key_frames": watch.camera.counts.half_frames,
        "connections": watch.camera.counts.connections,
        "restarts": watch.camera.counts.restarts,
        "faces": watch.numbers.faces,
        "tracks": watch.numbers.tracks,
    }


def _sees(watch: CameraWatch) -> float:
    return float(watch.standing().state is CoverageState.UP)


def _pictures(watch: CameraWatch) -> float:
    return watch.camera.counts.pictures


def _analysed(watch: CameraWatch) -> float:
    return watch.numbers.analysed


def _on_time(watch: CameraWatch) -> float:
    return watch.numbers.on_time


def _replaced(watch: CameraWatch) -> float:
    return watch.camera.counts.replaced


def _connections(watch: CameraWatch) -> float:
    return watch.camera.counts.connections


def _cpu_seconds(watch: CameraWatch) -> float:
    return watch.numbers.cpu_seconds


def _per_camera(name: str, kind: Kind, help_: str, watches: Sequence[CameraWatch], value: Any) -> Family:
    values = [((watch.camera.settings.id,), float(value(watch))) for watch in watches]
    return each(f"ward_camera_{name}", kind, help_, ("camera",), values)
