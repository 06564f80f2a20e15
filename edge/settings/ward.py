"""What can be set for ward cameras; a camera over a bed or in another private space is refused."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from renzheng.edge.settings.sections import Section, anchored

PUBLIC_PLACES = ("entrance", "corridor")
_PRIVATE = (
    "is no place for a camera that recognises faces: the Face Recognition Measures (Order 19 of CAC and MPS,"
    " in force 2025-06-01) forbid such devices inside private spaces of public places. Hang it at the ward's"
    " entrance or in a corridor, and write place = 'entrance' or 'corridor'"
)

Share = Annotated[float, Field(ge=0, le=1)]
Spot = tuple[Share, Share]


class DoorLine(Section):
    """The line that somebody crosses on the way into the ward or out of it.

    Args:
        start: one end, as shares of the picture's width and height, from its left and top.
        end: the other end.
        inside: a point on the ward's side of the line.
    """

    start: Spot
    end: Spot
    inside: Spot

    @model_validator(mode="after")
    def _has_sides(self) -> Self:
        (ax, ay), (bx, by), (px, py) = self.start, self.end, self.inside
        if abs((bx - ax) * (py - ay) - (by - ay) * (px - ax)) < 1e-3:  # noqa: PLR2004 - shares of the picture
            raise ValueError("`inside` lies on the line, or the line is a point: no side is the ward's")
        return self


class CameraSettings(Section):
    """One camera.

    Args:
        id: names it in events, coverage and logs.
        url: ``rtsp://host:port/path`` or ``rtsps://...`` without user and password: those are in a
            file of their own.
        credentials_file: first line the user, second the password; readable by the agent's user only.
        certificate_file: for ``rtsps://``, the one certificate that the camera may show (PEM); without it one
            for its name from an authority that this machine believes.
        ward: whose inpatients are looked for; as in the roster.
        place: ``entrance`` or ``corridor``.
        mode: ``keyframes`` decodes key frames only, at most `frames_per_second`; ``every_frame`` decodes all
            and looks at that many, for cameras whose key frames are far apart.
        region: left, top, right and bottom of the part of the picture that people walk through.
        line: for an entrance, so that in and out are told apart.
    """

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    url: str
    credentials_file: Path | None = None
    certificate_file: Path | None = None
    ward: Annotated[str, Field(min_length=1, max_length=200)]
    place: str
    mode: Literal["keyframes", "every_frame"] = "keyframes"
    frames_per_second: Annotated[float, Field(gt=0, le=10)] = 1.0
    region: tuple[Share, Share, Share, Share] = (0.0, 0.0, 1.0, 1.0)
    line: DoorLine | None = None

    anchored = field_validator("credentials_file", "certificate_file")(anchored)

    @field_validator("place")
    @classmethod
    def _public(cls, place: str) -> str:
        if place not in PUBLIC_PLACES:
            raise ValueError(f"{place[:40]!r} {_PRIVATE}")
        return place

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            port_is_good = parts.port is None or parts.port > 0
        except ValueError:
            raise ValueError("is no address; write rtsp://host:554/path") from None
        if parts.username is not None or parts.password is not None:
            raise ValueError("holds a user or password; put them into credentials_file")
        if parts.scheme not in {"rtsp", "rtsps"} or not parts.hostname or not port_is_good:
            raise ValueError("is no address of a camera; write rtsp://host:554/path or rtsps://host:322/path")
        return url

    @model_validator(mode="after")
    def _whole(self) -> Self:
        left, top, right, bottom = self.region
        if right - left < 0.05 or bottom - top < 0.05:  # noqa: PLR2004 - a twentieth of the picture
            raise ValueError("region: right must lie right of left, and bottom below top")
        if self.certificate_file is not None and not self.url.startswith("rtsps:"):
            raise ValueError("certificate_file: only a camera at rtsps:// shows a certificate")
        if self.line is not None and self.place != "entrance":
            raise ValueError("line: only a camera at an entrance tells in from out")
        return self


class WardSettings(Section):
    """How ward cameras look, whom they look for and what they keep.

    Args:
        cameras: may be none.
        workers: how many frames are looked at at one time; each takes a processor and an engine's memory.
        presence_minutes: a patient's presence is told at most once in this time; crossings of an entrance's
            line are told besides.
        crop_days: how long the encrypted crop of a told presence is kept on this device.
        expected_false_matches: how many of the people on the list one stranger may be taken for, on average:
            the false match rate of a comparison times the list's length stays below this, or nobody is
            identified.
        consent_needed: look only for patients whose consent is recorded on this device; False where another
            law is the basis. Who refused is never looked for.
        roster_hours: for how long the last good list serves when no newer one comes.
        frozen_seconds: a picture that does not change at all for this long is frozen.
        health_host: where health and metrics are served, at `health_port`; 0 takes a free one.
    """

    cameras: tuple[CameraSettings, ...] = ()
    workers: Annotated[int, Field(ge=1, le=16)] = 2
    presence_minutes: Annotated[float, Field(ge=1, le=1440)] = 30
    crop_days: Annotated[float, Field(gt=0, le=365)] = 7
    expected_false_matches: Annotated[float, Field(gt=0, le=0.1)] = 1e-3
    consent_needed: bool = True
    roster_hours: Annotated[float, Field(gt=0, le=168)] = 36
    frozen_seconds: Annotated[float, Field(ge=5, le=3600)] = 60
    health_host: Literal["127.0.0.1", "::1"] = "127.0.0.1"
    health_port: Annotated[int, Field(ge=0, le=65535)] = 8620

    @field_validator("cameras")
    @classmethod
    def _distinct(cls, cameras: tuple[CameraSettings, ...]) -> tuple[CameraSettings, ...]:
        if len({camera.id for camera in cameras}) != len(cameras):
            raise ValueError("two cameras have the same id")
        return cameras

    @property
    def presence_interval(self) -> timedelta:
        """`presence_minutes` as a length of time."""
        return timedelta(minutes=self.presence_minutes)
