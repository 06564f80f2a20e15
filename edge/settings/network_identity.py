"""How the national network identity service is asked, where a site has access to it."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from renzheng.edge.settings.sections import Section, anchored


class NetworkIdentitySettings(Section):
    """The site's gateway to the national network identity service (order of six ministries, 15 July 2025).

    Args:
        url: the gateway's address, `https://host[:port]/path`; without one the kiosk does not offer this way.
        ca_file: whom the gateway's certificate must be issued by.
        certificate_file: by which this device shows itself to it, with `key_file`.
        seconds: how long one question may take; then the other ways go on.
        assurances: levels that are taken, as the service names them; empty takes every one.
    """

    url: Annotated[str, Field(pattern=r"^https://[^/\s]+(/\S*)?$", max_length=500)] | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    seconds: Annotated[float, Field(ge=0.2, le=20)] = 4
    assurances: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = ()

    anchored = field_validator("ca_file", "certificate_file", "key_file")(anchored)
