"""An authenticator in software: makes passkeys and shows them, as a browser passes them on."""

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Authenticator:
    """One passkey.

    Args:
        origin: that of the page, as the browser writes it into what is signed.
        rp_id: for whom the key is.
        counts: the counter goes up at each use; some authenticators leave it at 0.
        knows_user: asks for a fingerprint or PIN.
    """

    def __init__(self, origin, rp_id, *, counts=True, knows_user=True):
        self.origin, self.rp_id, self.counts, self.knows_user = origin, rp_id, counts, knows_user
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id, self.count, self.handle = secrets.token_bytes(16), 0, b""

    def data(self, flags: int) -> bytes:
        flags |= PRESENT | (VERIFIED if self.knows_user else 0)
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def said(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def credential(self, **response: bytes) -> str:
        parts = {name: text(one) for name, one in response.items()}
        return json.dumps(
            {"id": text(self.id), "rawId": text(self.id), "type": "public-key", "response": parts,
             "clientExtensionResults": {}}
        )  # fmt: skip

    def make(self, options: str) -> str:
        """Answer options of a registration."""
        asked = json.loads(options)
        self.handle = raw(asked["user"]["id"])
        point = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(cose)
        made = {"fmt": "none", "attStmt": {}, "authData": self.data(ATTESTED) + attested}
        said = self.said("webauthn.create", asked["challenge"])
        return self.credential(clientDataJSON=said, attestationObject=cbor2.dumps(made))

    def show(self, options: str) -> str:
        """Answer options of a sign-in."""
        self.count += self.counts
        data, said = self.data(0), self.said("webauthn.get", json.loads(options)["challenge"])
        signed = self.key.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(hashes.SHA256()))
        return self.credential(
            clientDataJSON=said, authenticatorData=data, signature=signed, userHandle=self.handle
        )
