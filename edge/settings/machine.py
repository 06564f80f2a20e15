"""What can be set for the gateway that signs a treatment machine's own log."""

import codecs
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from renzheng.edge.settings.sections import Section, anchored

RunColumn = Literal["machine_id", "person_id", "started_at", "ended_at", "serial_number", "accession_number"]


class MachineSettings(Section):
    """The file that a machine or its console writes (`renzheng edge machine`).

    Args:
        path: the file that is written now.
        rotated: what earlier files of the same log are called, as a pattern of names in its folder.
        format: `csv` with a header, or `json`: an object a line.
        delimiter: between the columns of CSV.
        encoding: of the file; bytes that are none of it make a row unreadable, never another row.
        machine_id: of the one machine that writes the file; None where a column tells it.
        columns: what of a run stands in which column, or at which key (`run.begin` for a key within a key).
        time_format: as Python's strptime has it; None for ISO 8601. A time without an offset is local.
        every_seconds: how often the file is looked at.
        quiet_hours: a file that has not grown for longer than this may have been given up by its writer, so
            that its silence proves nothing.
    """

    path: Path | None = None
    rotated: Annotated[str, Field(pattern=r"^[^/]{1,200}$")] | None = None
    format: Literal["csv", "json"] = "csv"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    encoding: str = "utf-8"
    machine_id: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    columns: Mapping[RunColumn, Annotated[str, Field(min_length=1, max_length=200)]] = {}
    time_format: str | None = None
    every_seconds: Annotated[float, Field(ge=0.1, le=3600)] = 10
    quiet_hours: Annotated[float, Field(gt=0, le=8760)] = 24

    anchored = field_validator("path")(anchored)

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            codecs.lookup(name)
        except LookupError:
            raise ValueError(f"{name!r} is no encoding") from None
        return name
