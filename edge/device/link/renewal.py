"""Renews the device's certificate before it ends, by a call signed with the device's own key.

A certificate holds for two years; without this everything would stop on that day. The new pair is written
beside the old one and takes its place in two renames, the certificate's last: whatever a crash leaves, the
next start finishes it or begins anew.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from renzheng.common.certificates import valid_until
from renzheng.common.files import put, write_whole
from renzheng.common.supervised import Worker
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.requests import CERTIFICATE_PATH
from renzheng.edge.device.bulk import Bulk
from renzheng.edge.errors import BulkRefusedError

LOGGER = logging.getLogger(__name__)
RENEW_BEFORE = timedelta(days=60)
LOOK_SECONDS = 6 * 3600.0
RETRY_SECONDS = 600.0


class Renewal:
    """Looks now and then how long the certificate still holds.

    Args:
        bulk: central's door.
        certificate_file: the device's certificate (PEM).
        key_file: its private key (PEM).
        wall: the device's clock.
    """

    def __init__(
        self, bulk: Bulk, certificate_file: Path, key_file: Path, *, wall: Callable[[], datetime]
    ) -> None:
        self._bulk = bulk
        self._certificate_file = certificate_file
        self._key_file = key_file
        self._wall = wall
        self.worker = Worker("certificate", self.look, every_seconds=LOOK_SECONDS)

    def look(self) -> float | None:
        """Finish what a crash cut short; renew what ends soon. How long to rest until the next look."""
        self._finish()
        until = valid_until(self._certificate_file)
        if until is None or until - self._wall() > RENEW_BEFORE:
            return None
        try:
            self._renew()
        except RenzhengError as error:
            LOGGER.warning("the certificate, which ends on %s, was not renewed: %s", until.date(), error)
            return RETRY_SECONDS
        LOGGER.info("the certificate was renewed; the next connection shows it")
        return None

    def _renew(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "device")])
        asked = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        answer = self._bulk.post(
            CERTIFICATE_PATH, asked.public_bytes(serialization.Encoding.PEM), "application/x-pem-file"
        )
        _check(answer.body, key, self._wall())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_whole(_next(self._key_file), private)
        write_whole(_next(self._certificate_file), answer.body)
        self._finish()

    def _finish(self) -> None:
        """Put the new pair in place; the new certificate is written last and moved last."""
        if _next(self._certificate_file).exists():
            if _next(self._key_file).exists():
                put(_next(self._key_file), self._key_file)
            put(_next(self._certificate_file), self._certificate_file)
        else:
            _next(self._key_file).unlink(missing_ok=True)


def _check(pem: bytes, key: ec.EllipticCurvePrivateKey, now: datetime) -> None:
    """Take only a certificate for this very key that holds for longer than the one in use must.

    Raises:
        BulkRefusedError: it is another one, or none; what is in use stays.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        right = certificate.public_key() == key.public_key()
        right = right and certificate.not_valid_after_utc - now > RENEW_BEFORE
    except ValueError:
        right = False
    if not right:
        raise BulkRefusedError(
            "Central's door gave no certificate for the key that was made for it.",
            do="Check that device and central are of matching versions, and both clocks.",
            status=200,
        )


def _next(path: Path) -> Path:
    return path.with_name(f"{path.name}.next")
