"""The public-domain portraits that set-up fetches: one person twice, and another."""

import os
from pathlib import Path

PORTRAITS = Path(os.environ.get("RENZHENG_PORTRAITS", ".cache/portraits"))
MINE, ANOTHER, REFERENCE = "obama2.jpg", "biden.jpg", "obama.jpg"
