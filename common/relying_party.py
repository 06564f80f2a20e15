"""For which page a passkey is made: what a browser holds it to."""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """For whom passkeys are made.

    Args:
        rp_id: a host name, which the browser compares with that of the page.
        origin: scheme, host and port of the pages, as a browser names them.
    """

    rp_id: str
    origin: str


def relying_party(address: str) -> RelyingParty | None:
    """Return the relying party of a page's address; None where browsers make no passkeys.

    That is at an IP address, and over plain HTTP anywhere but at `localhost`.
    """
    place = urlsplit(address)
    host = place.hostname or ""
    if not host or _is_ip(host) or (place.scheme != "https" and host != "localhost"):
        return None
    return RelyingParty(host, f"{place.scheme}://{place.netloc}".lower())


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
