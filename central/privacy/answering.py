"""Requests that central itself answers: deletion, and the signed proof of what a withdrawal has destroyed."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import sqlalchemy as sa
from joserfc.jwk import OKPKey

from renzheng.central.privacy import orders, requests, rights, withdrawals
from renzheng.central.privacy.rights import Deleted
from renzheng.central.settings import Settings
from renzheng.central.store.times import from_us
from renzheng.central.texts import Texts
from renzheng.contracts import keys

KIND = "application/vnd.renzheng.withdrawal-certificate.v1"


def delete(
    connection: sa.Connection, settings: Settings, request_id: str, by: tuple[withdrawals.Origin, str, Texts],
    now: datetime,
) -> Deleted:  # fmt: skip
    """Answer a request for deletion: do it, and record what stays, why and until when.

    Args:
        connection: a writing transaction.
        settings: the site's terms.
        request_id: an open request for deletion.
        by: from where, which account, and the words in which the answer is kept.
        now: when.

    Raises:
        RequestRefusedError: there is no such open request.
    """
    origin, account, t = by
    row = requests.must_be_open(connection, request_id, "delete")
    done = rights.delete(connection, settings, row["person_id"], (origin, account), now)
    kept = [f"{t('retention.item.' + one.what)}: {one.rows}, {one.until or '-'}" for one in done.kept]
    requests.close(
        connection, request_id, "refused" if kept else "answered", "; ".join(kept), now,
        withdrawal_id=done.withdrawal_id,
    )  # fmt: skip
    return done


def certificate(connection: sa.Connection, row: Mapping[str, Any], key: OKPKey, now: datetime) -> bytes:
    """Sign what became of a withdrawal: each device's own certificate, and which devices have given none.

    Args:
        connection: a transaction.
        row: the withdrawal.
        key: central's.
        now: as of when.

    Returns:
        A JWS, of which `complete` says that nothing is outstanding.
    """
    told = orders.of_subject(connection, row["withdrawal_id"])
    said: dict[str, Any] = {
        "version": 1,
        "at": now.astimezone(UTC).isoformat(),
        "withdrawal_id": row["withdrawal_id"],
        "person_id": row["person_id"],
        "withdrawn_at": from_us(row["withdrawn_at"]).isoformat(),
        "key_halves_destroyed": row["shares_destroyed"],
        "devices": [_device(one) for one in told],
        "complete": row["shares_destroyed"] is not None and all(one["answered_at"] for one in told),
    }
    return keys.sign(orjson.dumps(said), key, KIND)


def _device(order: Mapping[str, Any]) -> dict[str, Any]:
    answered = order["answered_at"]
    return {
        "device_id": order["device_id"],
        "outcome": order["outcome"],
        "answered_at": None if answered is None else from_us(answered).isoformat(),
        "certificate": order["certificate"],
        "settled_by": order["settled_by"],
        "settled_reason": order["settled_reason"],
    }
