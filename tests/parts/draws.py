"""Published rounds made without a store, for tests of what is published."""

import random

from renzheng.central.draw.documents import (
    COMMITMENT_KIND,
    NO_COMMITMENT,
    SYSTEM,
    canonical,
    digest,
    make_seed,
    share_digest,
    units_of,
)
from renzheng.central.draw.risk import Weighting
from renzheng.central.draw.sampling import draw
from renzheng.central.draw.verifying import sample_rows
from renzheng.contracts import keys

PUBLIC_VALUE = "3D 2026321: 4 0 7"


def make_frame(number, *, wards=6, largest=9):
    """A frame of some wards, with Chinese names, the same for the same number."""
    chance = random.Random(number)
    units = [
        {
            "institution_id": f"H{ward % 3}", "ward": f"{ward}病区", "purpose": "inpatient",
            "candidates": sorted(
                [f"{chance.getrandbits(128):032x}", chance.randint(50, 800)]
                for _ in range(chance.randint(1, largest))
            ),
        }
        for ward in range(wards)
    ]  # fmt: skip
    units.sort(key=lambda unit: (unit["purpose"], unit["institution_id"], unit["ward"]))
    frame = {"round_id": f"R-{number}", "moment": "2026-11-20T01:00:00Z", "units": units}
    return {"version": 2, "devices": 2, **frame}


def make_round(number=1, *, wards=3, per_ward=2, key=None, **of_frame):
    """Make a whole published round and return it with the key that signed it."""
    key = key or keys.generate_key()
    frame = make_frame(number, **of_frame)
    round_id, chance = frame["round_id"], random.Random(number + 1_000_000)
    names = [SYSTEM, "王检查", "Li Shen"]
    shares = [chance.randbytes(32) for _ in names]
    promises = [share_digest(round_id, name, share) for name, share in zip(names, shares, strict=True)]
    commitment = {
        "version": 1,
        "round_id": round_id,
        "number": number,
        "previous": NO_COMMITMENT,
        "committed_at": "2026-11-20T01:00:00Z",
        "frame_sha256": digest(frame),
        "salt_sha256": digest(["salt", number]),
        "system_share_sha256": promises[0],
        "officers": [
            {"name": name, "share_sha256": promise}
            for name, promise in zip(names[1:], promises[1:], strict=True)
        ],
        "public_value": {
            "description": "福彩3D 第2026321期 开奖号码 / the numbers drawn",
            "known_at": "2026-11-20T13:20:00Z",
        },
        "sample": {"wards": wards, "per_ward": per_ward},
        "due_at": "2026-11-21T00:00:00Z",
        "closes_at": "2026-11-21T04:00:00Z",
        "weighting": Weighting().told(),
    }
    return seal_up(commitment, frame, shares, key), key


def seal_up(commitment, frame, shares, key, *, public_value=PUBLIC_VALUE, holders=("tablet-1", "tablet-2")):
    """Compute everything that follows, as an honest or a dishonest bureau would."""
    seed = make_seed(commitment["round_id"], shares, public_value)
    drawn = draw(seed, units_of(frame), commitment["sample"]["wards"], commitment["sample"]["per_ward"])
    document = {
        "version": 2,
        "commitment": commitment,
        "commitment_sha256": digest(commitment),
        "signature": keys.sign(canonical(commitment), key, COMMITMENT_KIND).decode(),
        "frame": frame,
        "shares": {"system": shares[0].hex(), "officers": [share.hex() for share in shares[1:]]},
        "public_value": public_value,
        "seed": seed.hex(),
        "drawn_at": "2026-11-20T14:00:00Z",
        "sample": sample_rows(drawn),
        "left_out": [drawn[0].ref],
        "holders": list(holders),
    }
    return {**document, "sha256": digest(document)}
