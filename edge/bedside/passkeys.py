"""Passkeys (Web Authentication, level 2) of inspectors: made and shown on the unit, without any network.

py_webauthn checks what the tablet sends. Challenges are made here, kept in memory, answered once, and hold
for five minutes; the tablet's authenticator must know its user (a finger, a face, the tablet's own code).
"""

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import webauthn
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from renzheng.common.relying_party import RelyingParty, relying_party
from renzheng.edge.bedside.errors import NoPasskeysHereError
from renzheng.edge.bedside.passkey_store import Passkey, PasskeyStore, refused
from renzheng.edge.look.watcher import now_ms

LASTS_MS = 5 * 60_000
MOST = 256
MOST_OF_CALLER = 16
"""Beyond it the oldest challenge of the same caller goes: a flood from one place ends nobody else's."""
_CHALLENGE_BYTES = 32
_BROKEN = (WebAuthnException, ValueError, TypeError, LookupError, AttributeError)
"""What reading a credential that is none may raise."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the page is asked.

    Args:
        ceremony: names it; shown again with the answer.
        options: for the browser, as JSON.
    """

    ceremony: str
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Ceremony:
    caller: str
    party: RelyingParty
    challenge: bytes
    until_ms: int
    inspector_id: str = ""
    code: str = ""


def party_of(address: str) -> RelyingParty:
    """Return the relying party of a page's address.

    Raises:
        NoPasskeysHereError: it is an IP address, or plain HTTP to anything but `localhost`.
    """
    party = relying_party(address)
    if party is None:
        raise NoPasskeysHereError(
            "Browsers make no passkeys for this address of the page.",
            why="A passkey belongs to a host name.",
            do="Open the page by its name: http://localhost:8610/ on the tablet itself, or the unit's name.",
        )
    return party


class Passkeys:
    """Makes and checks passkeys.

    Args:
        store: those that are known here, and codes for new ones.
        is_inspector: whether a number may sign in at all.
    """

    def __init__(self, store: PasskeyStore, is_inspector: Callable[[str], bool]) -> None:
        self.store = store
        self._is_inspector = is_inspector
        self._held: OrderedDict[str, _Ceremony] = OrderedDict()
        self._lock = threading.Lock()

    def ask_new(self, inspector_id: str, code: str, party: RelyingParty, caller: str) -> Asked:
        """Begin to make a passkey.

        Raises:
            PasskeyRefusedError: the code does not hold for this number, or it is no inspector's.
        """
        if not (self.store.has_code(inspector_id, code) and self._is_inspector(inspector_id)):
            raise refused()
        made, challenge = self._begin(caller, party, inspector_id, code)
        options = webauthn.generate_registration_options(
            rp_id=party.rp_id,
            rp_name="renzheng",
            user_id=_handle(inspector_id),
            user_name=inspector_id,
            challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
        )
        return Asked(made, orjson.loads(webauthn.options_to_json(options)))

    def register(self, ceremony: str, credential: str, at: datetime) -> Passkey:
        """Keep a new passkey.

        Raises:
            PasskeyRefusedError: it does not answer what was asked, or too late.
        """
        asked = self._take(ceremony)
        if not asked.inspector_id or not self._is_inspector(asked.inspector_id):
            raise refused()
        try:
            made = webauthn.verify_registration_response(
                credential=credential,
                expected_challenge=asked.challenge,
                expected_rp_id=asked.party.rp_id,
                expected_origin=asked.party.origin,
                require_user_verification=True,
            )
        except _BROKEN:
            raise refused() from None
        passkey = Passkey(
            bytes_to_base64url(made.credential_id),
            asked.inspector_id,
            asked.party.rp_id,
            made.credential_public_key,
            made.sign_count,
            secrets.token_urlsafe(32),
        )
        self.store.add(passkey, asked.code, at)
        return passkey

    def ask(self, party: RelyingParty, caller: str) -> Asked:
        """Begin a sign-in. Nothing in it depends on a number, so it tells nobody which numbers there are."""
        made, challenge = self._begin(caller, party)
        options = webauthn.generate_authentication_options(
            rp_id=party.rp_id,
            challenge=challenge,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return Asked(made, orjson.loads(webauthn.options_to_json(options)))

    def show(self, inspector_id: str, ceremony: str, credential: str) -> Passkey:
        """Check a passkey that is shown for a number.

        Raises:
            PasskeyRefusedError: it is not this number's, does not answer what was asked, or is a copy.
        """
        asked = self._take(ceremony)
        known = self.store.find(_id_of(credential))
        if known is None or known.inspector_id != inspector_id or not self._is_inspector(inspector_id):
            raise refused()
        try:
            shown = webauthn.verify_authentication_response(
                credential=credential,
                expected_challenge=asked.challenge,
                expected_rp_id=known.rp_id,
                expected_origin=asked.party.origin,
                credential_public_key=known.public_key,
                credential_current_sign_count=0,  # counted by the store, once the signature holds
                require_user_verification=True,
            )
            handle = base64url_to_bytes(orjson.loads(credential)["response"].get("userHandle") or "")
        except _BROKEN:
            raise refused() from None
        if asked.inspector_id or (handle and handle != _handle(inspector_id)):
            raise refused()
        if not self.store.used(known.credential_id, shown.new_sign_count):
            raise refused()
        return known

    def _begin(
        self, caller: str, party: RelyingParty, inspector_id: str = "", code: str = ""
    ) -> tuple[str, bytes]:
        made, challenge = secrets.token_urlsafe(32), secrets.token_bytes(_CHALLENGE_BYTES)
        now = now_ms()
        one = _Ceremony(caller, party, challenge, now + LASTS_MS, inspector_id, code)
        with self._lock:
            while self._held and next(iter(self._held.values())).until_ms <= now:
                self._held.popitem(last=False)
            of_caller = [name for name, held in self._held.items() if held.caller == caller]
            if len(of_caller) >= MOST_OF_CALLER:
                del self._held[of_caller[0]]
            elif len(self._held) >= MOST:
                self._held.popitem(last=False)
            self._held[made] = one
        return made, challenge

    def _take(self, ceremony: str) -> _Ceremony:
        with self._lock:
            asked = self._held.pop(ceremony, None)
        if asked is None or asked.until_ms <= now_ms():
            raise refused()
        return asked


def _handle(inspector_id: str) -> bytes:
    """Return by what an authenticator knows an inspector: nothing that names a person."""
    return hashlib.sha256(b"renzheng bedside passkey v1\n" + inspector_id.encode()).digest()


def _id_of(credential: str) -> str:
    try:
        return bytes_to_base64url(base64url_to_bytes(orjson.loads(credential)["id"]))
    except _BROKEN:
        return ""
