"""The bureau's own identity provider, by OpenID Connect: the code flow with PKCE, state and nonce (Authlib).

Nothing is asked of any address but the issuer's: its metadata may name endpoints of the same origin only.
"""

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import get_well_known_url
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from renzheng.central.access.errors import ProviderError
from renzheng.central.access.roles import Role
from renzheng.central.errors import SettingsError
from renzheng.central.settings import OidcSettings

ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
"""By which an id token may be signed; none and the symmetric ones never, whatever its header says."""
LEEWAY_SECONDS = 60
KEEPS = timedelta(hours=1)
"""How long metadata and keys are kept; a signature by a key that is not known renews them earlier."""
RENEWS_EVERY = timedelta(seconds=30)
SECONDS = 10.0
MOST_BYTES = 1 << 20
FRESH_SECONDS = 60
"""How long ago somebody may have signed in at the provider when asked to do so again."""
_SECRET_BYTES = 32
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True, slots=True)
class Sent:
    """What is kept of somebody who is sent to the provider.

    Args:
        state: comes back with them.
        nonce: comes back in the id token.
        verifier: of PKCE; only its hash is sent.
    """

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Person:
    """Whom the provider has signed in.

    Args:
        claims: of the id token, checked.
        id_token: as it came, so that signing out there can name it.
    """

    claims: Mapping[str, Any]
    id_token: str


class Provider:
    """Speaks to the provider; every method but the first may wait for it.

    Args:
        settings: which, and as which client.
        public_url: where people find the console.
        clock: when it is.

    Raises:
        SettingsError: a role is none.
    """

    def __init__(self, settings: OidcSettings, public_url: str, clock: Callable[[], datetime]) -> None:
        unknown = sorted(set(settings.roles.values()) - set(Role))
        if unknown:
            raise SettingsError(
                f"There is no role {unknown[0]} for [oidc.roles] to give.",
                do="Take one of those at /access/roles.",
            )
        self.settings, self._clock = settings, clock
        self._home = public_url.rstrip("/")
        self._lock = threading.Lock()
        self._metadata: Mapping[str, Any] = {}
        self._keys: KeySet | None = None
        self._read_at = self._keys_at = datetime.min.replace(tzinfo=clock().tzinfo)

    def _client(self) -> OAuth2Client:
        secret = self.settings.client_secret_file
        return OAuth2Client(
            self.settings.client_id,
            secret.read_text(encoding="utf-8").strip() if secret else None,
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
            code_challenge_method="S256",
            scope=" ".join(("openid", *self.settings.scopes)),
            redirect_uri=f"{self._home}/sign-in/provider/back",
            timeout=SECONDS,
            trust_env=False,
            follow_redirects=False,
            **({"verify": str(self.settings.ca_file)} if self.settings.ca_file else {}),
        )

    def send(self, *, again: bool = False) -> tuple[str, Sent]:
        """Return the address to which somebody is sent to sign in, and what is kept of them.

        Args:
            again: they are to show who they are, though they are signed in there.

        Raises:
            ProviderError: its metadata cannot be had.
        """
        sent = Sent(*(secrets.token_urlsafe(_SECRET_BYTES) for _ in range(3)))
        more = {"prompt": "login", "max_age": "0"} if again else {}
        address, _ = self._client().create_authorization_url(
            self._read_metadata()["authorization_endpoint"],
            state=sent.state,
            code_verifier=sent.verifier,
            nonce=sent.nonce,
            **more,
        )
        return str(address), sent

    def take(self, sent: Sent, query: Mapping[str, str], *, again: bool = False) -> Person:
        """Take somebody who comes back; return whom the provider says they are.

        Raises:
            ProviderError: what they bring does not hold, or the provider does not answer as it should.
        """
        if not secrets.compare_digest(query.get("state", "").encode(), sent.state.encode()):
            raise _refused("state")
        if "iss" in query and query["iss"] != self.settings.issuer:
            raise _refused("iss")
        if not query.get("code"):
            raise _refused("code")
        given = self._exchange(query["code"], sent)
        id_token, access_token = given.get("id_token"), given.get("access_token")
        if not isinstance(id_token, str):
            raise _refused("id_token")
        return Person(self._claims(id_token, sent.nonce, access_token, again=again), id_token)

    def _exchange(self, code: str, sent: Sent) -> Mapping[str, Any]:
        try:
            with self._client() as client:
                found: Mapping[str, Any] = client.fetch_token(
                    self._read_metadata()["token_endpoint"],
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=sent.verifier,
                )
        except (OAuthError, httpx2.HTTPError, ValueError) as error:
            raise _refused("token") from error
        return found

    def _claims(self, id_token: str, nonce: str, access_token: object, *, again: bool) -> Mapping[str, Any]:
        now = int(self._clock().timestamp())
        found = self._decode(id_token)
        options = {
            "iss": {"essential": True, "value": self.settings.issuer},
            "aud": {"essential": True, "value": self.settings.client_id},
        }
        told = {"nonce": nonce, "client_id": self.settings.client_id, "access_token": access_token}
        claims = CodeIDToken(found.claims, found.header, options, told)
        try:
            claims.validate(now=now, leeway=LEEWAY_SECONDS)
        except (JoseError, OAuthError, ValueError, TypeError) as error:
            raise _refused("claims") from error
        if again and now - _whole(claims.get("auth_time")) > FRESH_SECONDS:
            raise _refused("auth_time")
        return dict(claims)

    def _decode(self, id_token: str) -> jwt.Token:
        for renew in (False, True):
            try:
                return jwt.decode(id_token, self._read_keys(renew=renew), algorithms=ALGORITHMS)
            except (JoseError, ValueError, TypeError) as error:
                problem = error
        raise _refused("signature") from problem

    def _read_metadata(self) -> Mapping[str, Any]:
        with self._lock:
            if not self._metadata or self._clock() - self._read_at > KEEPS:
                found = self._get(get_well_known_url(self.settings.issuer, external=True))
                self._must_be_the_issuers(found)
                self._metadata, self._read_at = found, self._clock()
            return self._metadata

    def _must_be_the_issuers(self, found: Mapping[str, Any]) -> None:
        own = _origin(self.settings.issuer)
        named = [str(found.get(name, "")) for name in _ENDPOINTS]
        named += [str(found["end_session_endpoint"])] if found.get("end_session_endpoint") else []
        if found.get("issuer") != self.settings.issuer or any(_origin(one) != own for one in named):
            raise _refused("metadata")

    def _read_keys(self, *, renew: bool) -> KeySet:
        address = str(self._read_metadata()["jwks_uri"])
        with self._lock:
            age = self._clock() - self._keys_at
            if self._keys is None or age > KEEPS or (renew and age > RENEWS_EVERY):
                found = self._get(address)
                try:
                    self._keys, self._keys_at = KeySet.import_key_set(found), self._clock()  # type: ignore[arg-type]
                except (JoseError, ValueError, TypeError, KeyError) as error:
                    raise _refused("keys") from error
            return self._keys

    def _get(self, address: str) -> Mapping[str, Any]:
        try:
            with self._client() as client, client.stream("GET", address, withhold_token=True) as answer:
                answer.raise_for_status()
                body = b""
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > MOST_BYTES:
                        raise _refused("metadata")
            found = httpx2.Response(200, content=body).json()
        except (httpx2.HTTPError, ValueError) as error:
            raise _refused("metadata") from error
        if not isinstance(found, dict):
            raise _refused("metadata")
        return found

    def signing_out(self, id_token: str) -> str:
        """Return the address at which somebody signs out there too; empty where there is none.

        Raises:
            ProviderError: its metadata cannot be had.
        """
        endpoint = self._read_metadata().get("end_session_endpoint")
        if not endpoint:
            return ""
        told = {"id_token_hint": id_token, "client_id": self.settings.client_id}
        return f"{endpoint}?{urlencode({**told, 'post_logout_redirect_uri': f'{self._home}/sign-in'})}"


def _origin(address: str) -> tuple[str, str]:
    place = urlsplit(address)
    return place.scheme, place.netloc


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0


def _refused(part: str) -> ProviderError:
    return ProviderError(
        "The identity provider's answer does not hold.",
        why="Somebody else could have made it.",
        do="Sign in again; if that fails too, ask the administrator to look into central's log.",
        part=part,
    )
