"""A second verifier of rounds, written from docs/draw-specification.md alone.

It shares no code with the first. `holds` returns True when the round holds and False when it does not.
"""

import base64
import hmac
import json
import math
from hashlib import sha256


def canon(value):
    if isinstance(value, dict):
        inner = ",".join(f"{canon(key)}:{canon(value[key])}" for key in sorted(value))
        return "{" + inner + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canon, value)) + "]"
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(value)
    return json.dumps(value, ensure_ascii=False)


def hashed(value):
    return sha256(canon(value).encode()).hexdigest()


def text_hash(*lines):
    return sha256("\n".join(lines).encode())


def words(seed, label):
    number = 0
    while True:
        mac = hmac.new(seed, f"renzheng draw v1\n{label}\n{number}".encode(), "sha256")
        yield int(mac.hexdigest(), 16)
        number += 1


def below(source, bound):
    usable = (2**256 // bound) * bound
    return next(word for word in source if word < usable) % bound


def pick(weights, n, source):
    """Section 6; gives {place: (numerator, denominator)}."""
    shuffled = [*range(len(weights))]
    for last in reversed(range(1, len(weights))):
        swap = below(source, last + 1)
        shuffled[swap], shuffled[last] = shuffled[last], shuffled[swap]
    sure = {}
    while True:
        others = [i for i in range(len(weights)) if i not in sure]
        m, total = n - len(sure), sum(weights[i] for i in others)
        if m <= 0 or not others:
            return sure
        new = [i for i in others if weights[i] * m >= total]
        if not new:
            break
        sure |= dict.fromkeys(new, (1, 1))
    start = below(source, total)
    ticks = [start + k * total for k in range(m)]
    chosen, low = dict(sure), 0
    for i in (i for i in shuffled if i not in sure):
        high = low + m * weights[i]
        if any(low <= tick < high for tick in ticks):
            chosen[i] = (m * weights[i], total)
        low = high
    return chosen


def sample_of(seed, units, wards, per_ward):
    found = []
    sums = [sum(weight for _, weight in unit["candidates"]) for unit in units]
    of_units = pick(sums, wards, words(seed, "units"))
    for p in sorted(of_units):
        candidates = units[p]["candidates"]
        inner = pick([weight for _, weight in candidates], per_ward, words(seed, f"unit {p}"))
        for i in sorted(inner):
            top, bottom = of_units[p][0] * inner[i][0], of_units[p][1] * inner[i][1]
            shared = math.gcd(top, bottom)
            found.append(
                {"unit": p, "ref": candidates[i][0], "chance": f"{top // shared}/{bottom // shared}"}
            )
    return found


def holds(text, kept=None):
    try:
        return _holds(json.loads(text), kept)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError):
        return False


def _holds(file, kept):
    commitment, frame = file["commitment"], file["frame"]
    round_id = commitment["round_id"]
    units = frame["units"]
    refs = [ref for unit in units for ref, _ in unit["candidates"]]
    places = [(unit["purpose"], unit["institution_id"], unit["ward"]) for unit in units]
    names = ["system", *(officer["name"] for officer in commitment["officers"])]
    shares = [file["shares"]["system"], *file["shares"]["officers"]]
    promises = [commitment["system_share_sha256"], *(one["share_sha256"] for one in commitment["officers"])]
    seed = text_hash("renzheng draw seed v1", round_id, *shares, file["public_value"])
    payload = file["signature"].split(".")[1]
    sample = sample_of(seed.digest(), units, commitment["sample"]["wards"], commitment["sample"]["per_ward"])
    known, moments = commitment["public_value"]["known_at"], (frame["moment"], commitment["committed_at"])
    return all(
        (
            hashed({key: value for key, value in file.items() if key != "sha256"}) == file["sha256"],
            hashed(commitment) == file["commitment_sha256"],
            kept in (None, hashed(commitment)),
            base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)) == canon(commitment).encode(),
            hashed(frame) == commitment["frame_sha256"],
            frame["round_id"] == round_id,
            places == sorted(set(places)),
            len(refs) == len(set(refs)),
            all(unit["candidates"] == sorted(unit["candidates"]) for unit in units),
            [
                text_hash("renzheng draw share v1", round_id, name, share).hexdigest()
                for name, share in zip(names, shares, strict=True)
            ]
            == promises,
            seed.hexdigest() == file["seed"],
            sample == file["sample"],
            {*file["left_out"]} <= {one["ref"] for one in sample},
            moments[0] <= moments[1] < known <= file["drawn_at"] < commitment["due_at"],
            commitment["due_at"] < commitment["closes_at"],
            file["version"] == frame["version"],
            file.get("holders", []) == sorted({*file.get("holders", [])}),
            len(file.get("holders", [])) <= frame.get("devices", 0),
        )
    )
