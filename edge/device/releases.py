"""Hands one crop over for one request that central signed and two people stand behind; logged first."""

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from renzheng.contracts.events import EvidenceData, EvidenceReleased, device_source
from renzheng.contracts.ids import EventId
from renzheng.contracts.log import read_entry
from renzheng.contracts.privacy import CROP_SUITE, Certificate, Order, Release, crop_info, hash_of
from renzheng.edge.device.clock import Clock
from renzheng.edge.device.evidence import Evidence
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.settings import Settings

RECIPIENT = "bureau"


class Releases:
    """Seals crops to the bureau's key.

    Args:
        settings: which device.
        log: where it stands of whom a crop is, and where the release is told.
        evidence: the crops.
        clock: when it is.
    """

    def __init__(self, settings: Settings, log: DeviceLog, evidence: Evidence, clock: Clock) -> None:
        self._device = settings.device
        self._log = log
        self._evidence = evidence
        self._clock = clock

    def carry_out(self, order: Order, act: Release) -> tuple[Certificate, bytes | None]:
        """Release a crop, or say why not; the certificate, and the sealed crop."""
        reading = self._clock.read()
        said = {
            "order_id": order.order_id,
            "device_id": self._device.device_id,
            "order_sha256": hash_of(order),
            "at": reading.wall,
        }
        problem = self._problem(act)
        if problem is not None:
            return Certificate.model_validate({**said, "outcome": "refused", "reason": problem}), None
        crop = self._evidence.get(EventId(act.event_id))
        if crop is None:
            return Certificate.model_validate({**said, "outcome": "not_held"}), None
        key = X25519PublicKey.from_public_bytes(base64.b64decode(act.recipient_key))
        info = crop_info(act.request_id, act.event_id, self._device.device_id)
        sealed = CROP_SUITE.encrypt(crop, key, info)
        self._log.append(
            EvidenceReleased(
                source=device_source(self._device.device_id),
                time=reading.wall,
                subject=act.person_id,
                data=EvidenceData(
                    institution_id=self._device.institution_id,
                    clock=reading.as_event_clock(),
                    evidence_event_id=act.event_id,
                    stated_purpose=act.purpose,
                    released_to=RECIPIENT,
                ),
            )
        )
        digest = hashlib.sha256(sealed).hexdigest()
        return Certificate.model_validate({**said, "outcome": "released", "sealed_sha256": digest}), sealed

    def _problem(self, act: Release) -> str | None:
        if not act.allowed:
            return "not_allowed"
        if self._clock.read().wall >= act.until:
            return "too_late"
        row = self._log.store.row("SELECT line FROM entries WHERE event_id = ?", act.event_id)
        if row is None:
            return None  # pruned, as central has it; what it holds of the event was checked there
        return None if read_entry(row["line"]).event.get("subject") == act.person_id else "other_person"
