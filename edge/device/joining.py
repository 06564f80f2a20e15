"""The device's side of joining a site: keys made here, a one-time code, settings ready to run."""

import secrets
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from joserfc.jwk import OKPKey

from renzheng.common.files import write_whole
from renzheng.contracts import keys, provisioning
from renzheng.contracts import log as chain
from renzheng.contracts.errors import FaultError
from renzheng.contracts.log import Head
from renzheng.contracts.provisioning import JoinAnswer, JoinCode, JoinRequest, ProvisioningError
from renzheng.edge.device.bulk import MOVED
from renzheng.edge.device.clock import SystemClock
from renzheng.edge.device.closing import Closed, NewIdentity, close_log
from renzheng.edge.device.keyring import device_key, new_key
from renzheng.edge.device.link.uplink import REASSIGNED
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Store
from renzheng.edge.device.store.lock import FolderLock
from renzheng.edge.settings import DeviceSettings, load_settings

_LARGEST_ANSWER = 64_000
_TIMEOUT_S = 20


class CentralUnreachableError(FaultError):
    """Central does not answer at that address."""


@dataclass(frozen=True, slots=True)
class Joined:
    """What the device is from now on; `closed` is what became of the log of a device that joins again."""

    answer: JoinAnswer
    config_path: Path
    closed: Closed | None = None


def join(
    code: JoinCode,
    central_url: str,
    config_path: Path,
    data_dir: Path,
    software: str,
    *,
    again: bool = False,
) -> Joined:
    """Let this device join, or join again.

    The settings are written last: until they stand there, nothing has changed but unused key files.

    Args:
        code: from `renzheng device provision`.
        central_url: where central's door is; its transport need not be trusted, the code authenticates both.
        config_path: the settings file to write; must not be there yet.
        data_dir: where keys and store will lie.
        software: name and version, for central's list.
        again: this device has joined before. It keeps its settings and whom it knows; its log is closed, and
            goes on behind what central holds, with what central lacks carried over.

    Raises:
        ProvisioningError: the code is not right or used up, or the settings are there already.
        CentralUnreachableError: no answer.
        FolderInUseError: an agent runs on the data folder.
    """
    device = load_settings(config_path).device if again else None
    data_dir = data_dir if device is None else device.data_dir
    with FolderLock(data_dir):
        return _join(code, central_url, config_path, data_dir, software, device)


def _join(  # noqa: PLR0917 - as `join`
    code: JoinCode,
    central_url: str,
    config_path: Path,
    data_dir: Path,
    software: str,
    before: DeviceSettings | None,
) -> Joined:
    if before is None:
        _must_be_new(config_path, data_dir)
    tls_key = ec.generate_private_key(ec.SECP256R1())
    signing_key = device_key(data_dir) if before is None else new_key(data_dir)
    request = JoinRequest(
        certificate_request=_certificate_request(tls_key),
        signing_key=keys.public_pem(signing_key),
        nonce=secrets.token_urlsafe(24),
        software=software,
        device_id=None if before is None else before.device_id,
    )
    answer = provisioning.open_answer(
        _ask(central_url, provisioning.seal_request(request, code)), code, request
    )
    private = tls_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_whole(data_dir / "tls.key.pem", private)
    write_whole(data_dir / "tls.certificate.pem", answer.certificate.encode())
    write_whole(data_dir / "site-ca.pem", answer.ca_certificate.encode())
    write_whole(data_dir / "central.pub.pem", answer.central_key.encode())
    (data_dir / MOVED).unlink(missing_ok=True)  # what was heard before says nothing any more
    if before is None or before.shard == answer.shard:
        (data_dir / REASSIGNED).unlink(missing_ok=True)
    closed = _go_on(answer, data_dir, signing_key, again=before is not None)
    if before is None:
        config_path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(config_path, settings_text(answer, data_dir, central_url).encode())
    return Joined(answer, config_path, closed)


def _go_on(answer: JoinAnswer, data_dir: Path, signing_key: OKPKey, *, again: bool) -> Closed | None:
    """Let the log go on behind what central holds of this device."""
    at_central = chain.genesis(answer.device_id)
    if answer.log_sequence is not None and answer.log_hash is not None:
        at_central = Head(answer.log_sequence, answer.log_hash)
    elif not again:
        return None
    store = Store(data_dir / "device.sqlite")
    try:
        log = DeviceLog(store, answer.device_id)
        if again:
            reading = SystemClock().read()
            here = NewIdentity(signing_key, answer.institution_id, answer.store_id)
            return close_log(log, at_central, here, reading)
        log.begin_after(at_central)
        return None
    finally:
        store.close()


def _must_be_new(config_path: Path, data_dir: Path) -> None:
    if (data_dir / "device.sqlite").exists():
        raise ProvisioningError(
            f"{data_dir} holds a device's log already.",
            why="What it holds back would be lost for central.",
            do="Join with --again, or move the folder away if this machine is to become another device.",
        )
    if config_path.exists():
        raise ProvisioningError(
            f"{config_path} is there already.",
            why="A device that has joined keeps its name for life.",
            do="To join again under its name: --again, with a code made with --replaces. If this machine"
            " is to become another device, move the file away, and take a new data folder.",
        )


def settings_text(answer: JoinAnswer, data_dir: Path, central_url: str) -> str:
    """Write the settings of a device that has joined (TOML); what is not said keeps its default.

    Where it joined it also fetches rosters and rounds, from then on only over HTTPS.
    """
    device = {
        "device_id": answer.device_id,
        "institution_id": answer.institution_id,
        "purpose": answer.purpose.value,
        "shard": answer.shard,
        "data_dir": str(data_dir.resolve()),
    }
    link: dict[str, str | int] = {
        "host": answer.broker_host,
        "port": answer.broker_port,
        "protocol": answer.broker_protocol,
        "ca_file": str((data_dir / "site-ca.pem").resolve()),
        "certificate_file": str((data_dir / "tls.certificate.pem").resolve()),
        "key_file": str((data_dir / "tls.key.pem").resolve()),
        "central_key_file": str((data_dir / "central.pub.pem").resolve()),
    }
    written = datetime.now(UTC).date().isoformat()
    lines = [f"# Written by `renzheng device join` on {written}."]
    bulk = {"url": central_url.rstrip("/")} if central_url.startswith("https://") else {}
    for name, section in (("device", device), ("link", link), ("bulk", bulk)):
        lines.append(f"[{name}]")
        # A JSON string or number is a TOML one too.
        lines += [f"{key} = {orjson.dumps(value).decode()}" for key, value in section.items()]
    return "\n".join(lines) + "\n"


def _certificate_request(key: ec.EllipticCurvePrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "device")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def _ask(central_url: str, body: bytes) -> bytes:
    url = central_url.rstrip("/") + provisioning.JOIN_PATH
    if not url.startswith(("http://", "https://")):
        raise ProvisioningError(
            f"{central_url!r} is no http address.", do="Write https://central.example:8443"
        )
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        url, data=body, headers={"Content-Type": "application/jose"}, method="POST"
    )
    try:
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=_unproven()), _NoRedirect)
        with opener.open(request, timeout=_TIMEOUT_S) as response:
            answer: bytes = response.read(_LARGEST_ANSWER)
            return answer
    except urllib.error.HTTPError as error:
        with error:
            said = error.read(500).decode(errors="replace")
        raise ProvisioningError(
            "Central did not let this device in.", why=said, do="Make a new code: renzheng device provision"
        ) from None
    except OSError as error:
        raise CentralUnreachableError(
            f"Central does not answer at {central_url}: {error}.",
            do="Check address and network, then try again.",
        ) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Central is asked where somebody said that it is, and nowhere else."""

    def redirect_request(self, *_arguments: object) -> None:
        """Follow none; the answer counts as a refusal."""


def _unproven() -> ssl.SSLContext:
    """A device that has not joined cannot know the site's CA yet; the sealed answer proves who gave it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
