"""Keys that systemd hands over (`LoadCredentialEncrypted=`) instead of files beside the data.

Sealed to the machine's TPM or its host key, such a key is worth nothing on a disk that was carried away.
"""

import logging
import os
from pathlib import Path

LOGGER = logging.getLogger(__name__)
DIRECTORY = "CREDENTIALS_DIRECTORY"
TEMPLATE_KEY = "template.key"
EVIDENCE_KEY = "evidence.key"


def find(name: str) -> Path | None:
    """Find a credential of the service; None when systemd hands none over under this name."""
    folder = os.environ.get(DIRECTORY)
    path = Path(folder) / name if folder else None
    return path if path is not None and path.is_file() else None


def tell_if_beside(path: Path, data_dir: Path) -> None:
    """Say in the log that a key lies beside what it protects."""
    if path.resolve().is_relative_to(data_dir.resolve()):
        LOGGER.info(
            "%s lies beside what it protects: whoever takes the disk takes both (docs/security.md)", path.name
        )
