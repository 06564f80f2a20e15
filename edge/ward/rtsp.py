"""RTSP 1.0 (RFC 2326) as far as one video takes it, and SDP (RFC 8866); pure: bytes in, values out."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

_HEADER = re.compile(r"([A-Za-z0-9-]+):[ \t]*(.*)")
_FIELD = re.compile(r'([A-Za-z0-9]+)=(?:"([^"]*)"|([^,\s]*))')
SPACE_OF_BYTES = 64_000
"""No head or description of a camera is longer."""


class Codec(StrEnum):
    """The codecs that are read, by their names in SDP."""

    H264 = "H264"
    H265 = "H265"


class ProtocolError(ValueError):
    """What came is not RTSP or SDP as a camera speaks it; the text names what, never a password."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """User and password of a camera; neither shows in a repr."""

    user: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Head:
    """Status line and headers of an answer, headers by their names in small letters."""

    status: int
    headers: Mapping[str, str]

    @property
    def body_length(self) -> int:
        """How many bytes of body follow.

        Raises:
            ProtocolError: the header is no number, or too large.
        """
        text = self.headers.get("content-length", "0").strip()
        if not text.isascii() or not text.isdigit() or int(text) > SPACE_OF_BYTES:
            raise ProtocolError("an answer's length is no length")
        return int(text)


@dataclass(frozen=True, slots=True)
class Video:
    """A camera's first video stream, as its description has it.

    Args:
        codec: of its pictures.
        control: the address to set it up with.
        payload_type: RTP's number for it.
        parameter_sets: VPS, SPS and PPS without start codes, where the description names them.
    """

    codec: Codec
    control: str
    payload_type: int
    parameter_sets: tuple[bytes, ...] = ()


def request(method: str, url: str, number: int, headers: Mapping[str, str]) -> bytes:
    """Write a request without a body."""
    lines = [f"{method} {url} RTSP/1.0", f"CSeq: {number}", "User-Agent: renzheng"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def parse_head(head: bytes) -> Head:
    """Read the head of an answer, everything before its empty line.

    Raises:
        ProtocolError: it is none.
    """
    lines = head.decode("utf-8", errors="replace").splitlines()
    status = re.fullmatch(r"RTSP/1\.\d (\d{3})(?: .*)?", lines[0].strip()) if lines else None
    if status is None:
        raise ProtocolError("the answer is not RTSP")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        if found := _HEADER.fullmatch(line.strip()):
            name = found.group(1).lower()
            # A camera may offer several ways to authenticate, one header each.
            headers[name] = f"{headers[name]}\n{found.group(2)}" if name in headers else found.group(2)
    return Head(int(status.group(1)), headers)


def channel_of(transport: str) -> int:
    """Read which channel the camera sends the video on; 0, which was asked for, when it does not say."""
    found = re.search(r"interleaved=(\d{1,3})", transport)
    return int(found.group(1)) if found else 0


def authorise(offers: str, credentials: Credentials, method: str, url: str) -> str | None:
    """Answer a challenge (RFC 7617, RFC 7616 without `qop`, as cameras ask); None when none is known.

    Args:
        offers: the `WWW-Authenticate` headers, one a line; Digest goes before Basic.
        credentials: of the camera.
        method: of the request that is repeated.
        url: of the same.
    """
    by_scheme: dict[str, dict[str, str]] = {}
    for offer in offers.splitlines():
        scheme, _, rest = offer.strip().partition(" ")
        values = {key.lower(): quoted or plain for key, quoted, plain in _FIELD.findall(rest)}
        known = values.get("algorithm", "MD5").upper() in _HASHES
        if known or scheme.lower() != "digest":
            by_scheme.setdefault(scheme.lower(), values)
    if "digest" in by_scheme:
        return _digest(by_scheme["digest"], credentials, method, url)
    if "basic" in by_scheme:
        plain = f"{credentials.user}:{credentials.password}".encode()
        return "Basic " + base64.b64encode(plain).decode()
    return None


_HASHES = {"MD5": "md5", "SHA-256": "sha256"}


def _digest(offer: Mapping[str, str], credentials: Credentials, method: str, url: str) -> str:
    algorithm = offer.get("algorithm", "MD5").upper()

    def hashed(text: str) -> str:
        return hashlib.new(_HASHES[algorithm], text.encode(), usedforsecurity=False).hexdigest()

    realm, nonce = offer.get("realm", ""), offer.get("nonce", "")
    secret = hashed(f"{credentials.user}:{realm}:{credentials.password}")
    answer = hashed(f"{secret}:{nonce}:{hashed(f'{method}:{url}')}")
    parts = {"username": credentials.user, "realm": realm, "nonce": nonce, "uri": url, "response": answer}
    if "algorithm" in offer:
        parts["algorithm"] = algorithm
    if "opaque" in offer:
        parts["opaque"] = offer["opaque"]
    return "Digest " + ", ".join(f'{name}="{value}"' for name, value in parts.items())


def parse_description(text: str, base: str) -> Video:
    """Find the first video of a description.

    Args:
        text: SDP.
        base: the address that relative controls are relative to.

    Raises:
        ProtocolError: there is none.
        UnknownCodecError: there is one, of another codec.
    """
    media = re.split(r"(?m)^m=", text.replace("\r", ""))[1:]
    video = next((one for one in media if one.startswith("video ")), None)
    if video is None:
        raise ProtocolError("the description names no video")
    mapped = re.search(r"(?m)^a=rtpmap:(\d{1,3}) ([A-Za-z0-9.-]+)/", video)
    codec = mapped.group(2).upper() if mapped else ""
    if mapped is None or codec not in list(Codec):
        raise UnknownCodecError(codec or "unnamed")
    control = re.search(r"(?m)^a=control:(\S+)", video)
    return Video(
        Codec(codec),
        _joined(base, control.group(1) if control else "*"),
        int(mapped.group(1)),
        _parameter_sets(video),
    )


class UnknownCodecError(ProtocolError):
    """The video is of a codec that is not read; the text is its name."""


def _joined(base: str, control: str) -> str:
    if "://" in control:
        return control
    return base if control == "*" else base.rstrip("/") + "/" + control


def _parameter_sets(video: str) -> tuple[bytes, ...]:
    values: Sequence[str] = re.findall(r"sprop-(?:parameter-sets|vps|sps|pps)=([A-Za-z0-9+/=,]+)", video)
    found = []
    for text in (one for value in values for one in value.split(",") if one):
        try:
            found.append(base64.b64decode(text, validate=True))
        except binascii.Error:
            continue  # they also come within the stream
    return tuple(found)
