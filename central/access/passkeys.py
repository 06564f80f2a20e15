"""Passkeys (Web Authentication, level 2) of accounts: registered, shown, listed, removed.

py_webauthn checks what authenticators send; here is what it cannot know: whose key it is, that its counter
never goes back, and for which address it holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
import webauthn
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from renzheng.central.access.errors import PasskeyError
from renzheng.central.access.shown_once import hashed
from renzheng.central.store import schema
from renzheng.central.store.times import to_us
from renzheng.common.relying_party import RelyingParty

TABLE = schema.account_passkeys
NAME = "renzheng"
MOST = 10
"""Passkeys of one account."""
LONGEST_LABEL = 60
_BROKEN = (WebAuthnException, ValueError, TypeError, LookupError, AttributeError)
"""What reading a credential that is none may raise."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a browser answers to a challenge.

    Args:
        party: for whom.
        challenge: what was to be signed.
        credential: what the browser sent, as JSON.
    """

    party: RelyingParty
    challenge: bytes
    credential: str


def _handle(account_id: str) -> bytes:
    """Return by what an authenticator knows an account: nothing that names a person."""
    return bytes.fromhex(hashed(f"renzheng passkey v1\n{account_id}"))


def ask_new(connection: sa.Connection, account_id: str, party: RelyingParty, challenge: bytes) -> str:
    """Return the options, as JSON, with which a browser makes a passkey."""
    options = webauthn.generate_registration_options(
        rp_id=party.rp_id,
        rp_name=NAME,
        user_id=_handle(account_id),
        user_name=account_id,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.PREFERRED,
        ),
        exclude_credentials=_descriptors(connection, account_id),
    )
    return webauthn.options_to_json(options)


def register(
    connection: sa.Connection,
    account_id: str,
    answer: Answer,
    label: str,
    now: datetime,
) -> None:
    """Keep a new passkey of an account.

    Raises:
        PasskeyError: what the browser sent does not hold, or there are too many.
    """
    try:
        made = webauthn.verify_registration_response(
            credential=answer.credential,
            expected_challenge=answer.challenge,
            expected_rp_id=answer.party.rp_id,
            expected_origin=answer.party.origin,
        )
    except _BROKEN as error:
        raise _refused() from error
    credential_id = bytes_to_base64url(made.credential_id)
    known = sa.select(TABLE.c.credential_id).where(TABLE.c.credential_id == credential_id)
    if connection.execute(known).first() is not None:
        raise PasskeyError("This passkey is registered already.")
    if len(of_account(connection, account_id)) >= MOST:
        raise PasskeyError(f"An account has at most {MOST} passkeys.", do="Remove one first.")
    connection.execute(
        sa.insert(TABLE).values(
            credential_id=credential_id,
            account_id=account_id,
            label=label.strip()[:LONGEST_LABEL] or "-",
            public_key=made.credential_public_key,
            sign_count=made.sign_count,
            made_at=to_us(now),
        )
    )


def ask(connection: sa.Connection, account_id: str | None, party: RelyingParty, challenge: bytes) -> str:
    """Return the options, as JSON, with which a browser shows a passkey.

    Args:
        connection: a transaction.
        account_id: whose; None takes any that its authenticator offers, and then it must know its user.
        party: for whom.
        challenge: what is signed.
    """
    alone = account_id is None
    options = webauthn.generate_authentication_options(
        rp_id=party.rp_id,
        challenge=challenge,
        allow_credentials=None if account_id is None else _descriptors(connection, account_id),
        user_verification=UserVerificationRequirement.REQUIRED
        if alone
        else UserVerificationRequirement.PREFERRED,
    )
    return webauthn.options_to_json(options)


def show(
    connection: sa.Connection,
    account_id: str | None,
    answer: Answer,
    now: datetime,
) -> str:
    """Take a passkey that somebody shows; return the account that it is of.

    Args:
        connection: a writing transaction.
        account_id: whose it must be; None takes anybody's, and asks that its authenticator knew its user.
        answer: what the browser sent.
        now: when.

    Raises:
        PasskeyError: it does not hold; `counter` where its counter went back, as that of a copy would.
    """
    row = connection.execute(
        sa.select(TABLE).where(TABLE.c.credential_id == _id_of(answer.credential))
    ).first()
    if row is None or account_id not in {None, row.account_id}:
        raise _refused()
    try:
        shown = webauthn.verify_authentication_response(
            credential=answer.credential,
            expected_challenge=answer.challenge,
            expected_rp_id=answer.party.rp_id,
            expected_origin=answer.party.origin,
            credential_public_key=row.public_key,
            credential_current_sign_count=0,  # compared below, once the signature has shown whose it is
            require_user_verification=account_id is None,
        )
        handle = base64url_to_bytes(orjson.loads(answer.credential)["response"].get("userHandle") or "")
    except _BROKEN as error:
        raise _refused() from error
    if (handle or account_id is None) and handle != _handle(row.account_id):
        raise _refused()
    _count(connection, row.credential_id, shown.new_sign_count, row.account_id, now)
    return str(row.account_id)


def _count(connection: sa.Connection, credential_id: str, count: int, account_id: str, now: datetime) -> None:
    same = TABLE.c.credential_id == credential_id
    forward = (TABLE.c.sign_count < count) | ((TABLE.c.sign_count == 0) & sa.literal(count == 0))
    used = sa.update(TABLE).where(same, forward).values(sign_count=count, used_at=to_us(now))
    if connection.execute(used).rowcount == 0:
        raise PasskeyError(
            "The counter of this passkey went back.",
            why="That happens where there is a copy of it.",
            do="Sign in another way, remove this passkey and register a new one.",
            counter=account_id,
        )


def _id_of(credential: str) -> str:
    try:
        return bytes_to_base64url(base64url_to_bytes(orjson.loads(credential)["id"]))
    except _BROKEN:
        return ""


def _refused() -> PasskeyError:
    return PasskeyError("This passkey does not hold here.", do="Try again, or sign in another way.")


def _descriptors(connection: sa.Connection, account_id: str) -> list[PublicKeyCredentialDescriptor]:
    held = of_account(connection, account_id)
    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(one["credential_id"])) for one in held]


def of_account(connection: sa.Connection, account_id: str) -> Sequence[Mapping[str, Any]]:
    """List an account's passkeys, the oldest first."""
    query = sa.select(TABLE).where(TABLE.c.account_id == account_id).order_by(TABLE.c.made_at)
    return [dict(row) for row in connection.execute(query).mappings()]


def remove(connection: sa.Connection, account_id: str, credential_id: str | None = None) -> bool:
    """Take a passkey of an account away, or all of them; False when there is none."""
    own = TABLE.c.account_id == account_id
    which = own if credential_id is None else own & (TABLE.c.credential_id == credential_id)
    return connection.execute(sa.delete(TABLE).where(which)).rowcount > 0
