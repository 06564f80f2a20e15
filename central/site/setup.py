"""Makes a site's CA and the certificates of its broker and of central, once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from cryptography import x509

from renzheng.central.errors import SiteError
from renzheng.central.settings import Settings
from renzheng.central.site.authority import Authority, Pair, names_of
from renzheng.central.store import schema
from renzheng.central.store.database import Database
from renzheng.common.certificates import valid_until
from renzheng.common.files import write_whole

CENTRAL_NAME = "central"
"""Central's user name at the broker, which its ACL grants every device's topics."""
RENEWED_BEFORE = timedelta(days=60)
"""With less time left, central's certificates are made anew at its next start."""


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


def must_not_forget(settings: Settings) -> None:
    """Refuse to make a key or a CA anew under devices that know the one before.

    Raises:
        SiteError: devices are registered, and what they know central by is not there.
    """
    wanted = (settings.key_file, settings.site_dir / "ca.pem", settings.site_dir / "ca.key")
    missing = [path for path in wanted if not path.exists()]
    if missing and (count := _registered(settings.database)):
        raise SiteError(
            f"{count} devices are registered, and {missing[0]} is not there.",
            why="They would believe neither a new key nor a new CA, and keep everything back for good.",
            do="Restore it: renzheng central restore FOLDER. Without any backup: use another store, and let"
            " every device join again (docs/sync.md, Ways out).",
        )


def _registered(address: str) -> int:
    """Count the devices of a store; none where there is no store yet."""
    url = sa.make_url(address)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        return 0
    database = Database(address)
    try:
        with database.reading() as connection:
            if not sa.inspect(connection).has_table(schema.devices.name):
                return 0
            query = sa.select(sa.func.count()).select_from(schema.devices)
            return int(connection.execute(query).scalar_one())
    finally:
        database.close()


def renew_site(folder: Path, now: datetime, within: timedelta) -> list[tuple[Path, datetime]]:
    """Make the certificates anew that end within some time, with new keys and the same names.

    Returns:
        Each file that was made anew, and until when it holds.
    """
    authority, renewed = Authority.load(folder), []
    for name in ("server", CENTRAL_NAME):
        path = folder / f"{name}.pem"
        until = valid_until(path)
        if until is None or until - now > within:
            continue
        if name == CENTRAL_NAME:
            pair = authority.issue_client(CENTRAL_NAME, now)
        else:
            pair = authority.issue_server(names_of(path), now)
        _write(folder, name, pair)
        renewed.append((path, valid_until(path) or now))
    return renewed


def _write(folder: Path, name: str, pair: Pair) -> None:
    write_whole(folder / f"{name}.key", pair.key)
    (folder / f"{name}.pem").write_bytes(pair.certificate)


def add_name(folder: Path, name: str, now: datetime) -> Path:
    """Certify the broker and the door under a further name, with a new key; the names until now stay.

    Raises:
        SiteError: there is no CA here.
    """
    path = folder / "server.pem"
    names = [name, *names_of(path)] if path.exists() else [name]
    _write(folder, "server", Authority.load(folder).issue_server(list(dict.fromkeys(names)), now))
    return path


def consumer_name(shard: str) -> str:
    """Return the name of a shard's consumer at the broker: its certificate's, its user and its client id."""
    return f"{CENTRAL_NAME}-{shard}"


def consumer_names(folder: Path) -> list[str]:
    """Return the names of the consumers that the site has certified."""
    return sorted(path.stem for path in folder.glob(f"{CENTRAL_NAME}-*.pem"))


def certify_consumer(folder: Path, shard: str, now: datetime) -> tuple[Path, Path]:
    """Make the certificate and key of a shard's consumer where they are missing or end soon.

    The broker takes the certificate's name for the client id, and a client id is one connection's: two shards
    under one name would end each other's session.

    Args:
        folder: the site's, with its CA.
        shard: whose consumer.
        now: from when the certificate holds.
    """
    name = consumer_name(shard)
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    if not (certificate.exists() and key.exists() and _lasts(certificate, now)):
        _write(folder, name, Authority.load(folder).issue_client(name, now))
    return certificate, key


def _lasts(certificate: Path, now: datetime) -> bool:
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc - now > RENEWED_BEFORE
