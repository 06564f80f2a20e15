"""An identity provider on loopback that speaks OpenID Connect, and can be made to lie."""

import base64
import hashlib
import hmac
import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey
from parts.authenticator import text

CLIENT, SECRET = "renzheng", "a secret of the client"


class IdentityProvider:
    """Signs people in who are named by whoever calls `sign_in`.

    Args:
        clock: when it is.
    """

    def __init__(self, clock):
        self.clock, self.asked, self.codes = clock, [], {}
        self.endpoints = {}
        self.rotate()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                provider.asked.append(self.path)
                told = {"/.well-known/openid-configuration": provider.metadata, "/keys": provider.keys}
                self.answer(told[self.path]() if self.path in told else None)

            def do_POST(self):
                provider.asked.append(self.path)
                form = dict(parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
                self.answer(provider.token(form, self.headers.get("authorization", "")))

            def answer(self, value):
                body = json.dumps(value if value is not None else {"error": "invalid_grant"}).encode()
                self.send_response(400 if value is None else 200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def rotate(self):
        """Sign with a new key from now on; the old one is gone."""
        self.key = ECKey.generate_key("P-256", {"kid": secrets.token_hex(4)}, private=True)

    def metadata(self):
        named = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys",
                 "end_session_endpoint": "/bye"}  # fmt: skip
        return {
            "issuer": self.issuer,
            **{one: self.issuer + path for one, path in named.items()},
        } | self.endpoints

    def keys(self):
        return {"keys": [self.key.as_dict(private=False)]}

    def sign_in(self, address, sub, *, header=None, key=None, **claims):
        """Answer a browser that was sent here: return the query with which it is sent back."""
        asked = {name: one[0] for name, one in parse_qs(urlsplit(address).query).items()}
        assert asked["code_challenge_method"] == "S256"
        now, code = int(self.clock().timestamp()), secrets.token_hex(8)
        told = {"iss": self.issuer, "aud": CLIENT, "sub": sub, "iat": now, "exp": now + 300,
                "auth_time": now, "nonce": asked["nonce"]} | claims  # fmt: skip
        signed = self.signed({"alg": "ES256", "kid": self.key.kid, **(header or {})}, told, key or self.key)
        self.codes[code] = (asked["code_challenge"], asked["redirect_uri"], signed)
        return {"code": code, "state": asked["state"]}

    def signed(self, header, claims, key):
        if header["alg"] not in ("none", "HS256"):
            return jwt.encode(header, claims, key, algorithms=[header["alg"]])
        parts = [text(json.dumps(one).encode()) for one in (header, claims)]
        public = self.key.as_pem(private=False)
        mac = hmac.digest(public, ".".join(parts).encode(), "sha256")
        return ".".join((*parts, text(mac) if header["alg"] == "HS256" else ""))

    def token(self, form, authorization):
        shown = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        challenge, back, signed = self.codes.pop(form.get("code"), (None, None, None))
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        right = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode() == challenge
        if not right or form.get("redirect_uri") != back or shown not in authorization:
            return None
        return {"access_token": "x", "token_type": "Bearer", "id_token": signed}
