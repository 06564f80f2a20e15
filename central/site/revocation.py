"""The two lists by which a broker knows who is put out: Mosquitto's ACL, and the CA's revocation list.

Central writes both anew at every revocation; a unit of `deploy/systemd` watches the ACL, which is written
last, and has Mosquitto read them again. The ACL silences connections that are open, the revocation list lets
none be made. The ingest refuses the device whatever the broker does.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from renzheng.central.errors import SiteError
from renzheng.central.site.authority import Authority
from renzheng.central.site.setup import CENTRAL_NAME, consumer_names
from renzheng.central.store import schema
from renzheng.central.store.database import Database
from renzheng.common.files import write_whole
from renzheng.contracts.ids import topic_level
from renzheng.contracts.topics import ROOT

ACL = "renzheng.acl"
CRL = "renzheng.crl"


def keep_lists(database: Database, site: Path, folder: Path, now: datetime) -> bool:
    """Write both lists as the store has them now; says whether it did: a site without a CA has none.

    Raises:
        SiteError: they cannot be written.

    Args:
        database: the store.
        site: folder of the CA.
        folder: where the lists go; made when it is missing.
        now: from when the revocation list holds.
    """
    if not (site / "ca.key").exists():
        return False
    with database.reading() as connection:
        devices, certificates = schema.devices, schema.device_certificates
        revoked = devices.c.revoked_at.is_not(None)
        names = connection.execute(sa.select(devices.c.device_id).where(revoked)).scalars().all()
        issued = sa.select(certificates.c.serial).join(
            devices, devices.c.device_id == certificates.c.device_id
        )
        serials = [int(serial, 16) for serial in connection.execute(issued.where(revoked)).scalars()]
    revoked_certificates = Authority.load(site).revoke(serials, now)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / CRL, revoked_certificates)
        write_whole(folder / ACL, render_acl(names, consumer_names(site)).encode())
    except OSError as error:
        raise SiteError(
            f"The broker's lists in {folder} cannot be written: {error.strerror}.",
            why="The broker would go on admitting a device that was put out; the ingest refuses it already.",
            do="Mend the folder's rights or space, then run: renzheng central run, or revoke it again.",
        ) from error
    return True


def render_acl(revoked: Iterable[str] = (), consumers: Iterable[str] = ()) -> str:
    """Write the access rule as Mosquitto's ACL; `revoked` users are denied everything.

    Each of `consumers`, ``central-SHARD``, has its shard.

    Mosquitto reads the file again on SIGHUP and asks it for every message, so a revocation takes effect on
    connections that are open, too.
    """
    lines = [
        f"pattern write {ROOT}/+/%u/up/log",
        f"pattern write {ROOT}/+/%u/up/status",
        f"pattern read {ROOT}/+/%u/down/ack",
        f"pattern read {ROOT}/+/%u/down/command",
        "",
        f"user {CENTRAL_NAME}",
        f"topic read {ROOT}/+/+/up/log",
        f"topic read {ROOT}/+/+/up/status",
        f"topic write {ROOT}/+/+/down/ack",
        f"topic write {ROOT}/+/+/down/command",
    ]
    for consumer in sorted(set(consumers)):
        shard = topic_level(consumer.removeprefix(f"{CENTRAL_NAME}-"), "shard")
        lines += [
            "",
            f"user {CENTRAL_NAME}-{shard}",
            f"topic read {ROOT}/{shard}/+/up/log",
            f"topic read {ROOT}/{shard}/+/up/status",
            f"topic write {ROOT}/{shard}/+/down/ack",
            f"topic write {ROOT}/{shard}/+/down/command",
        ]
    for user in sorted(set(revoked)):
        lines += ["", f"user {topic_level(user, 'device id')}", f"topic deny {ROOT}/#"]
    return "\n".join(lines) + "\n"
