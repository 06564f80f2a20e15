"""What `renzheng doctor` looks at on any machine: clock, disk, files, certificates, ports, units, a broker.

Each look returns findings; none raises because of what it finds, so that one fault hides no other. What
cannot be looked at is `unknown`, never `ok`.
"""

import contextlib
import http.client
import json
import os
import pwd
import shutil
import socket
import ssl
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from cryptography import x509

from renzheng.common.certificates import valid_until
from renzheng.common.kernel_clock import is_synchronised

State = Literal["ok", "warning", "fault", "unknown"]

FREE_BYTES_FAULT, FREE_BYTES_WARNING = 300_000_000, 2_000_000_000
DAYS_WARNING = 30
SERVICE_ACCOUNT = "renzheng"
"""As whom the units in `deploy/systemd` run."""
CLOCK_BEHIND = timedelta(minutes=5)
"""Records of other machines may be as much ahead of a right clock."""
SOFTWARE_MADE = datetime(2026, 1, 1, tzinfo=UTC)
"""No clock of a machine that runs this can be right and before it."""
TIMEOUT_SECONDS = 5.0
_LONGEST_HEALTH = 1_000_000
_OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """One line of the answer.

    Args:
        what: what was found, in English; `common.words.message` has its Chinese.
        check: a short code of what was looked at, the same in every language.
        state: `ok`, `warning` (works, but not for long or not well), `fault`, or `unknown`.
        do: the command or act that mends it; empty while it is well.
    """

    what: str
    check: str
    state: State = "ok"
    do: str = ""


def look_at_clock(now: datetime, newest: datetime | None) -> Iterator[DoctorFinding]:
    """Look whether the clock can be right.

    Args:
        now: what it says, aware.
        newest: the latest moment that the machine's own records hold, aware; None where there is none.
    """
    if now < SOFTWARE_MADE:
        yield DoctorFinding(
            f"The clock says {now:%Y-%m-%d %H:%M}, which is before this software was made.",
            "clock",
            "fault",
            do="Set it: timedatectl set-ntp true",
        )
    elif newest is not None and newest - now > CLOCK_BEHIND:
        yield DoctorFinding(
            f"The clock says {now:%Y-%m-%d %H:%M}, but the records here reach to {newest:%Y-%m-%d %H:%M}.",
            "clock",
            "fault",
            do="Set it: timedatectl set-ntp true",
        )
    elif not is_synchronised():
        yield DoctorFinding(
            "The kernel does not hold the clock for synchronised.",
            "clock",
            "warning",
            do="Name the site's time server in /etc/systemd/timesyncd.conf, then: timedatectl set-ntp true",
        )
    else:
        yield DoctorFinding("The clock is synchronised.", "clock")


def look_at_disk(folder: Path) -> Iterator[DoctorFinding]:
    """Look how much room there is where data are kept, and whether we may write there."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        yield DoctorFinding(
            f"The data folder {folder} cannot be used: {error.strerror}.",
            "disk",
            "fault",
            do="Make it, or mend data_dir in the settings.",
        )
        return
    free = f"{usage.free / 1e9:.1f}"
    if usage.free < FREE_BYTES_FAULT:
        yield DoctorFinding(
            f"{free} GB are free for {folder}: nothing more can be kept.",
            "disk",
            "fault",
            do="Make room, or move the data folder to a larger disk.",
        )
    elif usage.free < FREE_BYTES_WARNING:
        yield DoctorFinding(
            f"Only {free} GB are free for {folder}.",
            "disk",
            "warning",
            do="Make room, or move the data folder to a larger disk.",
        )
    else:
        yield DoctorFinding(f"{free} GB are free for {folder}.", "disk")
    if not os.access(folder, os.W_OK | os.X_OK):
        yield DoctorFinding(
            f"This account may not write into {folder}.",
            "owner",
            "fault",
            do="Run the doctor as the service's account (sudo -u renzheng), or: chown -R renzheng: FOLDER",
        )


def look_at_account(folder: Path) -> Iterator[DoctorFinding]:
    """Look whether we are the service's account: root may do everything, and what it makes is root's."""
    try:
        owner = folder.stat().st_uid
    except OSError:
        return  # said by `look_at_disk`
    if os.geteuid() == owner == 0 and _has_account(SERVICE_ACCOUNT):
        yield DoctorFinding(
            f"{folder} is root's, and the service runs as {SERVICE_ACCOUNT}.",
            "owner",
            "fault",
            do=f"chown -R {SERVICE_ACCOUNT}: '{folder}'",
        )
    elif os.geteuid() != owner:
        yield DoctorFinding(
            f"{folder} is the account {_name_of(owner)}'s; what that one may do is not seen by this one.",
            "owner",
            "unknown",
            do=f"sudo -u {_name_of(owner)} renzheng doctor",
        )


def is_owner(path: Path) -> bool:
    """Whether a file is this account's own; only then may a look open it, for what opening makes is ours."""
    return path.stat().st_uid == os.geteuid()


def _has_account(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def look_at_secrets(named: Mapping[str, Path | None]) -> Iterator[DoctorFinding]:
    """Look at each secret file that a setting names."""
    for needed_by, path in named.items():
        if path is not None:
            yield from look_at_secret(path, needed_by)


def look_at_secret(path: Path, needed_by: str) -> Iterator[DoctorFinding]:
    """Look whether a secret file is there, ours, and nobody else's.

    Args:
        path: the file.
        needed_by: the setting that names it.
    """
    try:
        found = path.stat()
    except OSError as error:
        yield DoctorFinding(
            f"{path} ({needed_by}) cannot be read: {error.strerror}.",
            "secret",
            "fault",
            do="Put the file there, or mend the setting.",
        )
        return
    if not os.access(path, os.R_OK):
        yield DoctorFinding(
            f"{path} ({needed_by}) cannot be read by this account.",
            "secret",
            "fault",
            do=f"Give it to the service's account: chown renzheng: '{path}'",
        )
    elif stat.S_IMODE(found.st_mode) & _OTHERS:
        yield DoctorFinding(
            f"Others can read {path} ({needed_by}).", "secret", "warning", do=f"chmod go= '{path}'"
        )


def look_at_certificate(path: Path, needed_by: str, now: datetime, renew: str) -> Iterator[DoctorFinding]:
    """Look until when a certificate is valid, and from when.

    Args:
        path: a PEM file.
        needed_by: the setting that names it.
        now: aware.
        renew: what renews it.
    """
    until = valid_until(path)
    if until is None:
        yield DoctorFinding(
            f"No certificate can be read from {path} ({needed_by}).", "certificate", "fault", do=renew
        )
        return
    days = (until - now).days
    begins = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_before_utc
    if begins > now:
        yield DoctorFinding(
            f"The certificate {path} ({needed_by}) is valid only from {begins:%Y-%m-%d %H:%M} UTC.",
            "certificate",
            "fault",
            do="The clock is behind, here or where it was made. Set it: timedatectl set-ntp true",
        )
    elif until <= now:
        yield DoctorFinding(
            f"The certificate {path} ({needed_by}) ended on {until:%Y-%m-%d}.",
            "certificate",
            "fault",
            do=renew,
        )
    elif days < DAYS_WARNING:
        yield DoctorFinding(
            f"The certificate {path} ({needed_by}) ends in {days} days.", "certificate", "warning", do=renew
        )
    else:
        yield DoctorFinding(f"The certificate {path} ({needed_by}) is valid for {days} days.", "certificate")


def look_at_name(host: str, needed_by: str) -> Iterator[DoctorFinding]:
    """Look whether a host's name leads anywhere; silent when it does."""
    try:
        socket.getaddrinfo(host, None)
    except OSError as error:
        yield DoctorFinding(
            f"The name {host} ({needed_by}) leads nowhere: {error.strerror}.",
            "name",
            "fault",
            do="Mend the setting, the site's DNS, or add the name to /etc/hosts.",
        )


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """A broker, and how we show who we are; paths may be None as in the settings."""

    host: str
    port: int
    ca_file: Path | None
    certificate_file: Path | None
    key_file: Path | None


def look_at_broker(broker: BrokerAddress, needed_by: str) -> Iterator[DoctorFinding]:
    """Look whether the broker takes our connection, up to the handshake of TLS.

    Nothing is said in MQTT: a second session under our name would throw out the service that runs.
    """
    named = list(look_at_name(broker.host, needed_by))
    if named:
        yield from named
        return
    where = f"{broker.host}:{broker.port}"
    try:
        with contextlib.closing(
            socket.create_connection((broker.host, broker.port), TIMEOUT_SECONDS)
        ) as plain:
            if broker.ca_file is not None:
                _shake_hands(plain, broker)
    except ssl.SSLCertVerificationError as error:
        yield DoctorFinding(
            f"The broker at {where} shows a certificate that {broker.ca_file} does not stand for: "
            f"{error.verify_message}.",
            "broker",
            "fault",
            do="Give the broker a certificate of this site for that name: renzheng central broker-config",
        )
    except (OSError, ValueError) as error:
        yield DoctorFinding(
            f"The broker at {where} ({needed_by}) is not reached: {_words(error)}.",
            "broker",
            "fault",
            do="Look at it: systemctl status mosquitto; and at the firewall between.",
        )
    else:
        yield DoctorFinding(f"The broker at {where} takes connections.", "broker")


def _words(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _shake_hands(plain: socket.socket, broker: BrokerAddress) -> None:
    context = ssl.create_default_context(cafile=str(broker.ca_file))
    if broker.certificate_file is not None:
        context.load_cert_chain(broker.certificate_file, broker.key_file)
    with context.wrap_socket(plain, server_hostname=broker.host):
        pass


def ask_health(host: str, port: int, tells: str, kind: type, *, secure: bool = False) -> dict[str, Any]:
    """Ask a service of this machine for its health.

    Args:
        host: where it listens, on this machine.
        port: as above.
        tells: a name that its answer holds, by which it is known.
        kind: what stands under that name.
        secure: whether it speaks TLS; its certificate names another address and is not looked at.

    Raises:
        ConnectionRefusedError: nothing listens there.
        OSError: it cannot be asked.
        http.client.HTTPException: what listens there speaks no HTTP.
        ValueError: what it answers is not the health of such a service.
    """
    if secure:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        line: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=TIMEOUT_SECONDS, context=context
        )
    else:
        line = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    with contextlib.closing(line):
        line.request("GET", "/health")
        found = json.loads(line.getresponse().read(_LONGEST_HEALTH))
    if not isinstance(found, dict) or not isinstance(found.get(tells), kind):
        raise ValueError(f"it tells nothing of {tells}")  # noqa: TRY004 - another program sent it
    return found


def look_at_unit(name: str) -> Iterator[DoctorFinding]:
    """Look whether systemd runs a unit, and starts it with the machine."""
    systemctl = shutil.which("systemctl")
    if systemctl is None or not Path("/run/systemd/system").is_dir():
        yield DoctorFinding(f"There is no systemd here to ask about {name}.", "unit", "unknown")
        return
    enabled, active = (_asked((systemctl, word, name)) for word in ("is-enabled", "is-active"))
    if enabled not in {"enabled", "static", "alias"}:
        yield DoctorFinding(
            f"The unit {name} does not start with the machine ({enabled}).",
            "unit",
            "warning",
            do=f"systemctl enable --now {name}",
        )
    elif active != "active":
        yield DoctorFinding(
            f"The unit {name} does not run ({active}).",
            "unit",
            "fault",
            do=f"systemctl restart {name}; journalctl -u {name} -n 50",
        )
    else:
        yield DoctorFinding(f"The unit {name} runs.", "unit")


def _asked(call: Sequence[str]) -> str:
    try:
        done = subprocess.run(call, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"
