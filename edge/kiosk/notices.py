"""The words of the notice that a patient reads before the first look; a version always means the same."""

import hashlib
from functools import cache

from renzheng.edge.kiosk.voices import catalogues

_BEGIN = "consent."


@cache
def notice_sha256() -> str:
    """Hash what the notice says, in every language, as the page shows it."""
    digest = hashlib.sha256()
    for language, words in sorted(catalogues().items()):
        for key in sorted(key for key in words if key.startswith(_BEGIN)):
            digest.update(f"{language}\0{key}\0{words[key]}\0".encode())
    return digest.hexdigest()
