"""What devices and central read of a certificate."""

from datetime import datetime
from pathlib import Path

from cryptography import x509


def valid_until(path: Path | None) -> datetime | None:
    """Return until when (UTC) the certificate of a PEM file is valid; None when none can be read."""
    try:
        return None if path is None else x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return None
