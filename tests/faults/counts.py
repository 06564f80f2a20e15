"""What the suite counted: one row a part, as JSON and as a table."""

import json
import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

LONG = os.environ.get("FAULTS") == "long"
OUT = Path(os.environ.get("FAULTS_JSON", Path(__file__).resolve().parents[2] / "artefacts" / "faults.json"))


def often(short: int, long: int) -> int:
    """How often: `short` in the ordinary tests, `long` by choice; FAULTS_COUNT overrides the long one."""
    return int(os.environ.get("FAULTS_COUNT", long)) if LONG else short


@dataclass
class Counts:
    """Figures by part, in the order in which the parts ended."""

    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def add(self, part: str, **figures: Any) -> None:
        """Put one part's figures down."""
        self.parts[part] = figures

    def tamper(self, kind: str, name: str) -> None:
        """Put down which name a kind of tampering got."""
        self.parts.setdefault("tampering", {})[kind] = name

    def write(self) -> None:
        """Write JSON; a part that was not run this time keeps what an earlier run of this length counted."""
        OUT.parent.mkdir(parents=True, exist_ok=True)
        length = "long" if LONG else "short"
        kept = json.loads(OUT.read_text(encoding="utf-8")) if OUT.exists() else {}
        at = datetime.now(UTC).isoformat(timespec="seconds")
        now = {name: {**figures, "at": at} for name, figures in self.parts.items()}
        kept[length] = {**kept.get(length, {}), **now}
        OUT.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def table(self) -> Table:
        """Make the table."""
        table = Table(title=f"faults ({'long' if LONG else 'short'})", title_justify="left")
        table.add_column("part")
        table.add_column("counted")
        for name, figures in self.parts.items():
            between, inside = ("\n", " → ") if name == "tampering" else ("  ", " ")
            told = between.join(f"{key}{inside}{_shown(value)}" for key, value in figures.items())
            table.add_row(name, told)
        return table

    def show(self) -> None:
        """Print the table."""
        Console(width=150).print(self.table())


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


COUNTS = Counts()
