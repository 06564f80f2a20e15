"""RTP (RFC 3550) with H.264 (RFC 6184) and H.265 (RFC 7798) inside: packets in, whole pictures out; pure.

A picture ("access unit") leaves as Annex B bytes. Of pictures that are not wanted only the first bytes of
each packet are looked at, so that a stream of which one frame a second is decoded costs hardly more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from renzheng.edge.ward.rtsp import Codec

LARGEST_UNIT_BYTES = 8_000_000
_START = b"\x00\x00\x00\x01"
_UNIT_END = {Codec.H264: _START + b"\x09\xf0", Codec.H265: _START + b"\x46\x01\x50"}
"""An access unit delimiter behind a picture tells a decoder that it is complete."""


class PacketError(ValueError):
    """A packet is not RTP, or its payload not of its codec."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet; `timestamp` counts 90,000 a second from an arbitrary start, modulo 2^32."""

    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    source: int
    payload: memoryview


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One picture.

    Args:
        content: Annex B, parameter sets first, ended by a delimiter; empty unless it was wanted and is whole.
        timestamp: RTP's.
        source: the sender's number, which a restarted camera changes.
        key: it can be decoded without any other.
        whole: nothing of it was lost.
    """

    content: bytes
    timestamp: int
    source: int
    key: bool
    whole: bool


def parse_packet(data: bytes) -> Packet:
    """Read one packet.

    Raises:
        PacketError: it is none.
    """
    if len(data) < 12 or data[0] >> 6 != 2:  # noqa: PLR2004 - RTP's header and version
        raise PacketError("no RTP header")
    start, end = 12 + 4 * (data[0] & 0x0F), len(data)
    if data[0] & 0x10:
        if len(data) < start + 4:
            raise PacketError("its extension is cut off")
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
    if data[0] & 0x20:
        end -= data[-1]
    if start >= end:
        raise PacketError("it is empty")
    return Packet(
        marker=bool(data[1] & 0x80),
        payload_type=data[1] & 0x7F,
        sequence=int.from_bytes(data[2:4]),
        timestamp=int.from_bytes(data[4:8]),
        source=int.from_bytes(data[8:12]),
        payload=memoryview(data)[start:end],
    )


class Assembler:
    """Puts packets together to pictures.

    Args:
        codec: of the stream.
        parameter_sets: those of the description; newer ones in the stream take their place.
        keys_only: content is gathered of key frames only.
    """

    def __init__(self, codec: Codec, parameter_sets: Sequence[bytes] = (), *, keys_only: bool = True) -> None:
        self._codec = codec
        self._keys_only = keys_only
        self._sets = {_kind(codec, one): bytes(one) for one in parameter_sets if len(one) > 2}  # noqa: PLR2004
        self._sequence: int | None = None
        self._begin()

    def _begin(self) -> None:
        self._timestamp: int | None = None
        self._source = 0
        self._parts: list[bytes] = []
        self._bytes = 0
        self._fragments: list[bytes] | None = None
        self._key = False
        self._sliced = False
        self._whole = True

    def push(self, packet: Packet) -> list[AccessUnit]:
        """Take one packet; returns the pictures that it completes, hardly ever more than one.

        Raises:
            PacketError: its payload is not of the codec, or the picture too large; what was gathered is lost.
        """
        done: list[AccessUnit] = []
        lost = self._sequence is not None and packet.sequence != (self._sequence + 1) & 0xFFFF
        self._sequence = packet.sequence
        if self._timestamp is not None and packet.timestamp != self._timestamp:
            # The packet that should have ended the picture never came.
            self._whole = self._whole and not lost
            done += self._finish()
        if lost:
            self._whole = False
            self._fragments = None
        self._timestamp, self._source = packet.timestamp, packet.source
        try:
            self._take(packet.payload)
        except (IndexError, PacketError) as error:
            self._begin()
            raise PacketError(str(error) or "its payload is cut off") from None
        if packet.marker:
            done += self._finish()
        return done

    def _finish(self) -> list[AccessUnit]:
        """Close the picture; a group of parameter sets alone is none.

        Some senders never set the marker, so a picture without it counts as whole unless a fragment is open.
        """
        whole = self._whole and self._fragments is None
        units = []
        if self._sliced or not whole:
            wanted = self._sliced and whole and (self._key or not self._keys_only)
            content = self._content() if wanted else b""
            units = [AccessUnit(content, self._timestamp or 0, self._source, self._key, whole)]
        self._begin()
        return units

    def _content(self) -> bytes:
        before = [self._sets[kind] for kind in sorted(self._sets)] if self._key else []
        return b"".join(_START + part for part in [*before, *self._parts]) + _UNIT_END[self._codec]

    def _take(self, payload: memoryview) -> None:
        if self._codec is Codec.H264:
            self._take_h264(payload)
        else:
            self._take_h265(payload)

    def _take_h264(self, payload: memoryview) -> None:
        kind = payload[0] & 0x1F
        if kind == 28:  # noqa: PLR2004 - FU-A, a fragment
            first, last = bool(payload[1] & 0x80), bool(payload[1] & 0x40)
            header = bytes([(payload[0] & 0xE0) | (payload[1] & 0x1F)])
            self._fragment(header, payload[2:], first=first, last=last)
        elif kind == 24:  # noqa: PLR2004 - STAP-A, several in one packet
            self._several(payload[1:])
        elif 1 <= kind <= 23:  # noqa: PLR2004 - one whole unit
            self._unit(payload)
        else:
            raise PacketError(f"H.264 payload of type {kind}")

    def _take_h265(self, payload: memoryview) -> None:
        kind = (payload[0] >> 1) & 0x3F
        if kind == 49:  # noqa: PLR2004 - FU, a fragment
            first, last = bool(payload[2] & 0x80), bool(payload[2] & 0x40)
            header = bytes([(payload[0] & 0x81) | ((payload[2] & 0x3F) << 1), payload[1]])
            self._fragment(header, payload[3:], first=first, last=last)
        elif kind == 48:  # noqa: PLR2004 - AP, several in one packet
            self._several(payload[2:])
        elif kind < 48:  # noqa: PLR2004 - one whole unit
            self._unit(payload)
        else:
            raise PacketError(f"H.265 payload of type {kind}")

    def _several(self, payload: memoryview) -> None:
        while payload:
            length = int.from_bytes(payload[:2])
            if not 0 < length <= len(payload) - 2:
                raise PacketError("a unit in it is cut off")
            self._unit(payload[2 : 2 + length])
            payload = payload[2 + length :]

    def _fragment(self, header: bytes, data: memoryview, *, first: bool, last: bool) -> None:
        if first:
            self._note(header)
            self._fragments = [header]
        elif self._fragments is None:
            self._note(header)
            self._whole = False  # its beginning was lost
            return
        assert self._fragments is not None
        if self._wanted(header):
            self._grow(len(data))
            self._fragments.append(bytes(data))
        if last:
            if self._wanted(header):
                self._parts.append(b"".join(self._fragments))
            self._fragments = None

    def _unit(self, data: memoryview) -> None:
        if self._fragments is not None:
            self._whole, self._fragments = False, None  # a fragmented one never ended
        head = bytes(data[:2])
        kind = _kind(self._codec, head)
        if kind in _PARAMETER_SETS[self._codec]:
            self._sets[kind] = bytes(data)
            return
        self._note(head)
        if self._wanted(head):
            self._grow(len(data))
            self._parts.append(bytes(data))

    def _note(self, header: bytes) -> None:
        kind = _kind(self._codec, header)
        self._sliced = self._sliced or kind in _SLICES[self._codec]
        self._key = self._key or kind in _KEYS[self._codec]

    def _wanted(self, header: bytes) -> bool:
        kind = _kind(self._codec, header)
        return kind in (_KEYS if self._keys_only else _SLICES)[self._codec]

    def _grow(self, by: int) -> None:
        self._bytes += by
        if self._bytes > LARGEST_UNIT_BYTES:
            raise PacketError("a picture is too large")


_SLICES = {Codec.H264: range(1, 6), Codec.H265: range(32)}
_KEYS = {Codec.H264: (5,), Codec.H265: range(16, 22)}
_PARAMETER_SETS = {Codec.H264: (7, 8), Codec.H265: (32, 33, 34)}


def _kind(codec: Codec, header: bytes) -> int:
    return header[0] & 0x1F if codec is Codec.H264 else (header[0] >> 1) & 0x3F
