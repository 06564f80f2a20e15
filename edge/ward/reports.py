"""What a ward agent says of its lists and cameras, for health and for Prometheus; nobody is named."""

from collections.abc import Mapping, Sequence
from typing import Any

from renzheng.common.metrics import Family, Kind
from renzheng.contracts.events import CoverageState
from renzheng.edge.device.metrics import each, one
from renzheng.edge.device.store.inpatients import Inpatients
from renzheng.edge.ward.lists import WardLists
from renzheng.edge.ward.watch import CameraWatch


def health(lists: WardLists, inpatients: Inpatients, watches: Sequence[CameraWatch]) -> dict[str, Any]:
    """Return what health says besides what every device's says."""
    received_at = inpatients.kept_at()
    wards = sorted({watch.camera.settings.ward for watch in watches})
    return {
        "roster_kept_at": None if received_at is None else received_at.isoformat(),
        "roster": lists.trouble or "in_force",
        "lists": {ward: _list_sizes(lists, ward) for ward in wards},
        "cameras": {watch.camera.settings.id: _camera(watch) for watch in watches},
    }


def metrics(watches: Sequence[CameraWatch], presences: int) -> list[Family]:
    """Return the metrics besides those of every device.

    Args:
        watches: the cameras.
        presences: how many were written.
    """
    return [
        one("ward_presences_total", "counter", "Presences told.", presences),
        _per_camera("up", "gauge", "1 while a camera sees.", watches, _sees),
        _per_camera("pictures_total", "counter", "Pictures decoded.", watches, _pictures),
        _per_camera("analysed_total", "counter", "Pictures looked at.", watches, _analysed),
        _per_camera("on_time_total", "counter", "Of them, in time.", watches, _on_time),
        _per_camera("replaced_total", "counter", "Pictures not looked at.", watches, _replaced),
        _per_camera("connections_total", "counter", "Times connected.", watches, _connections),
        _per_camera("analysis_cpu_seconds", "untyped", "Spent on looking.", watches, _cpu_seconds),
    ]


def _list_sizes(lists: WardLists, ward: str) -> Mapping[str, int] | None:
    found = lists.of(ward)
    if found is None:
        return None
    return {"inpatients": found.listed, "looked_for": len(found.gallery), "enrol_again": found.enrol_again}


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
