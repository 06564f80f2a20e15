"""What can be set for a counter of a pharmacy or an outpatient department."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from renzheng.edge.settings.sections import Section, anchored


class CounterSettings(Section):
    """The counter's page (`renzheng edge counter`).

    Args:
        port: 0 takes a free one.
        idle_minutes: a clerk's sign-in that was silent for this long is over.
        attempt_seconds: how long one look may take.
        address_file: where the page's one-time start address is written for the browser; without one, in the
            service's folder under /run, and where there is none, every page of this machine is let in.
    """

    host: Literal["127.0.0.1", "::1"] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8630
    idle_minutes: Annotated[float, Field(gt=0, le=720)] = 30
    attempt_seconds: Annotated[float, Field(ge=3, le=120)] = 10
    address_file: Path | None = None

    anchored = field_validator("address_file")(anchored)
