"""Makes a site's CA and the certificates of its broker and of central, once."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from renzheng.central.site.authority import Authority, Pair, write_secret

CENTRAL_NAME = "central"
"""Central's user name at the broker, which its ACL grants every device's topics."""


def make_site(folder: Path, site: str, names: Sequence[str], now: datetime) -> None:
    """Make what is not there yet: ``ca``, ``server`` (broker and central) and ``central`` (its client side).

    Args:
        folder: where the PEM files go; keys are readable by their owner only.
        site: the site's name.
        names: host names and addresses under which devices find broker and central.
        now: from when the certificates hold.
    """
    if not (folder / "ca.pem").exists():
        Authority.make(site, now).save(folder)
    authority = Authority.load(folder)
    if not (folder / "server.pem").exists():
        _write(folder, "server", authority.issue_server(names, now))
    if not (folder / f"{CENTRAL_NAME}.pem").exists():
        _write(folder, CENTRAL_NAME, authority.issue_client(CENTRAL_NAME, now))


def _write(folder: Path, name: str, pair: Pair) -> None:
    write_secret(folder / f"{name}.key", pair.key)
    (folder / f"{name}.pem").write_bytes(pair.certificate)
