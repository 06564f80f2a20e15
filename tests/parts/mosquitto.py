"""A real Mosquitto on a free loopback port.

    with Mosquitto(folder) as broker:
        connect("127.0.0.1", broker.port)
        broker.kill(); broker.start()      # the same port; without persistence its queues are lost

With `tls` the listener asks for client certificates and takes the certificate's name as the user name, and
`acl` (lines of an ACL file) says who may read and write what.
"""

import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from parts.processes import end, find_program, free_port, listens, wait_until


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files of a listener with TLS."""

    ca_file: Path
    certificate_file: Path
    key_file: Path


class Mosquitto:
    """One broker process; its folder holds configuration and log.

    Args:
        folder: an own, existing, empty folder.
        tls: certificates; without them the listener is plain and anonymous.
        acl: lines of an ACL file.
        config: further lines of configuration, such as ``max_queued_messages 10``.
    """

    def __init__(
        self, folder: Path, *, tls: Tls | None = None, acl: Sequence[str] = (), config: Sequence[str] = ()
    ) -> None:
        self.program = find_program("mosquitto", "mosquitto", [Path("/usr/sbin"), Path("/usr/local/sbin")])
        self.folder = folder
        self.port = free_port()
        self.host = "127.0.0.1"
        self.config_file = folder / "mosquitto.conf"
        self.log_file = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.config_file.write_text("\n".join([*self._lines(tls, acl), *config]) + "\n", encoding="utf-8")

    def _lines(self, tls: Tls | None, acl: Sequence[str]) -> list[str]:
        lines = [
            f"listener {self.port} 127.0.0.1",
            "persistence false",
            "user root",  # otherwise a broker started by root cannot read the tests' folder
            f"log_dest file {self.log_file}",
            "max_packet_size 262144",
            f"allow_anonymous {'false' if tls else 'true'}",
        ]
        if tls:
            lines += [
                f"cafile {tls.ca_file}",
                f"certfile {tls.certificate_file}",
                f"keyfile {tls.key_file}",
                "require_certificate true",
                "use_identity_as_username true",
            ]
        if acl:
            acl_file = self.folder / "acl"
            acl_file.write_text("\n".join(acl) + "\n", encoding="utf-8")
            acl_file.chmod(0o600)
            lines.append(f"acl_file {acl_file}")
        return lines

    def start(self) -> None:
        """Start the broker on its port and wait until it listens."""
        self._process = subprocess.Popen(
            [self.program, "-c", self.config_file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self._answers, within_seconds=60, what=f"mosquitto on port {self.port}")

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            log = self.log_file.read_text(errors="replace")[-2000:] if self.log_file.exists() else ""
            raise RuntimeError(f"mosquitto ended with status {self._process.returncode}: {log}")
        return listens(self.port)

    def stop(self) -> None:
        """Stop it in good order; `start` brings it back on the same port."""
        if self._process is not None:
            end(self._process)

    def kill(self) -> None:
        """Kill it with SIGKILL, as a power cut would."""
        if self._process is not None:
            end(self._process, signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start; sessions and queues are lost, as persistence is off."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing moves (a half-open link)."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen broker run again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def reload(self) -> None:
        """Make it read its ACL and password files again (SIGHUP)."""
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.resume()
        self.stop()
