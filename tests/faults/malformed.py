"""Messages that must never be taken: valid ones bent out of shape, and others that never had one.

Everything follows from the seed. `Malformer.message` never yields a message that would be right by chance.
"""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from parts.devices import LogWriter

from renzheng.central.ingest.service import Message
from renzheng.contracts import keys, log
from renzheng.contracts.errors import RenzhengError
from renzheng.contracts.messages import parse_status
from renzheng.contracts.topics import Channel, TopicError, parse_topic

TOPIC = "renzheng/v1/s1/{}/up/log"
STATUS = "renzheng/v1/s1/{}/up/status"
_ODD = ["\0", "é", "卡", "+", "#", "/", "$SYS", "..", " ", "😀", "%s", "'", '"', ";--", "\x7f"]
_NUMBERS: Sequence[Any] = [
    0,
    -1,
    1.5,
    2**31,
    2**53,
    2**63,
    2**64,
    10**40,
    True,
    None,
    "1",
    [],
    {},
    "\0",
    "\ud800",
]


class Malformer:
    """Makes malformed messages about one device.

    Args:
        writer: a device with some entries, none of which central has been given.
        chance: where every choice comes from.
    """

    def __init__(self, writer: LogWriter, chance: random.Random) -> None:
        self._writer, self._chance = writer, chance
        entries = writer.entries
        self._right = [
            writer.batch(entries[start : start + size]) for start in range(8) for size in (1, 2, 3)
        ]
        self._all_right = set(self._right)
        self._ways: Sequence[Callable[[], bytes]] = [
            self._bent,
            self._bent,
            self._bent,
            self._spliced,
            self._other_payload,
            self._other_header,
            self._signed_nonsense,
            self._random,
        ]

    def message(self) -> Message:
        """Make one."""
        kind = self._chance.random()
        if kind < 0.88:
            return Message(TOPIC.format(self._writer.device_id), self._payload())
        if kind < 0.93:
            return Message(STATUS.format(self._writer.device_id), self._status())
        return Message(self._topic(), self._chance.choice(self._right))

    def _payload(self) -> bytes:
        while True:
            made = self._chance.choice(self._ways)()
            if made not in self._all_right:
                return made

    def _bent(self) -> bytes:
        """Bytes changed, put in, taken out, doubled."""
        data = bytearray(self._chance.choice(self._right))
        for _ in range(self._chance.randint(1, 3)):
            at = self._chance.randrange(len(data) + 1)
            upto = min(len(data), at + self._chance.choice((1, 1, 1, 2, 4, 16, 64)))
            match self._chance.randrange(6):
                case 0 if at < len(data):
                    data[at] ^= 1 << self._chance.randrange(8)
                case 1:
                    data[at:at] = self._chance.randbytes(upto - at + 1)
                case 2:
                    del data[at:upto]
                case 3:
                    data[at:at] = data[at:upto]
                case 4:
                    del data[at:]
                case _:
                    data[at:at] = self._chance.choice((b".", b"=", b"\n", b"\0", b"A", b"-", b"_"))
        return bytes(data)

    def _spliced(self) -> bytes:
        """Parts of several envelopes in one."""
        parts = [self._chance.choice(self._right).split(b".")[place] for place in (0, 1, 2)]
        if self._chance.random() < 0.3:
            self._chance.shuffle(parts)
        made = b".".join(parts[: self._chance.choice((1, 2, 3, 3, 3))])
        return made + self._chance.choice((b"", b".", b"." + parts[0]))

    def _other_payload(self) -> bytes:
        """Another payload under a signature that was made for this one."""
        header, payload, signature = self._chance.choice(self._right).split(b".")
        line = json.loads(keys.decode(payload).split(b"\n")[0])
        place = self._chance.choice((line, line["event"], line["event"]["data"]))
        place[self._chance.choice(list(place))] = self._chance.choice(_NUMBERS)
        return b".".join((header, keys.encode(json.dumps(line).encode()), signature))

    def _other_header(self) -> bytes:
        """A header that asks for less, or for something else."""
        header, payload, signature = self._chance.choice(self._right).split(b".")
        values = json.loads(keys.decode(header))
        name = self._chance.choice(("alg", "alg", "kid", "typ", "dev", "crit", "b64", "jwk"))
        other = ("none", "HS256", "EdDSA", "ES256", "", "kiosk-9", ["exp"], {"kty": "OKP"}, *_NUMBERS)
        values[name] = self._chance.choice(other)
        if self._chance.random() < 0.2:
            del values[name]
        sealed = self._chance.choice((signature, b"", b"AAAA"))
        return b".".join((keys.encode(json.dumps(values).encode()), payload, sealed))

    def _signed_nonsense(self) -> bytes:
        """Nonsense that the device's own key has signed."""
        lines = [self._nonsense() for _ in range(self._chance.choice((1, 1, 2, 3, 101)))]
        return keys.sign(b"\n".join(lines), self._writer.key, log.BATCH, dev=self._writer.device_id)

    def _nonsense(self) -> bytes:
        match self._chance.randrange(6):
            case 0:
                return self._chance.randbytes(self._chance.randrange(80))
            case 1:
                return b"[" * self._chance.choice((1, 50, 3000))
            case 2:
                line = json.loads(self._chance.choice(self._writer.entries[1:]).line)
                line[self._chance.choice(("sequence", "previous", "event"))] = self._chance.choice(_NUMBERS)
                return json.dumps(line).encode()
            case 3:
                return b'{"sequence":1,"previous":"%s","event":{}' % (b"f" * self._chance.choice((0, 63, 64)))
            case 4:
                return self._chance.choice(self._writer.entries[1:]).line + b" \xff"
            case _:
                return b""

    def _random(self) -> bytes:
        return self._chance.randbytes(self._chance.choice((0, 1, 7, 64, 700, 3000)))

    def _status(self) -> bytes:
        values: dict[str, Any] = {
            "version": 1,
            "device_id": self._writer.device_id,
            "state": "online",
            "sequence": 1,
            "acknowledged": 0,
            "software": "x",
            "at": "2026-03-02T00:00:00Z",
        }
        while True:
            values[self._chance.choice((*values, "more"))] = self._chance.choice((*_NUMBERS, "9999-99-99"))
            made = json.dumps(values).encode()[: self._chance.choice((None, None, -1, 20))]
            try:
                said = parse_status(made)
            except (RenzhengError, OverflowError):
                return made
            if said.device_id != self._writer.device_id:
                return made

    def _topic(self) -> str:
        while True:
            made = self._bent_topic()
            try:
                parsed = parse_topic(made)
            except TopicError:
                return made
            if (parsed.device_id, parsed.channel) != (self._writer.device_id, Channel.LOG):
                return made  # on another shard's topic a device's batch is still the device's

    def _bent_topic(self) -> str:
        levels = TOPIC.format(self._writer.device_id).split("/")
        at = self._chance.randrange(len(levels))
        odd = self._chance.choice(_ODD)
        match self._chance.randrange(5):
            case 0:
                levels[at] = odd
            case 1:
                levels.insert(at, odd)
            case 2:
                del levels[at]
            case 3:
                levels[at] += odd
            case _:
                levels[3] = self._chance.choice(("kiosk-9", "x" * 64, "x" * 65, "x" * 60_000, "", "central"))
        return "/".join(levels)
