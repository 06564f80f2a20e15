"""A device and a broker on two networks with a router between them, all of it in namespaces of our own.

The router can let packets vanish, in one direction or both, without either end being told: that is what a
half-open connection is. It needs root; nothing outside of the namespaces is touched.
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from parts.mosquitto import Mosquitto
from parts.processes import end, wait_until

# RFC 5737 keeps these addresses for documentation; two networks of two hosts each.
DEVICE, DEVICE_ROUTER = "198.51.100.2", "198.51.100.1"
BROKER, BROKER_ROUTER = "198.51.100.6", "198.51.100.5"
MASK = 30
WAYS = ("both", "to_broker", "to_device", "unplugged")


class Network:
    """Three namespaces: `device`, a router, and `broker`."""

    def __init__(self) -> None:
        self._own = f"rz{os.getpid()}"
        self.device, self.router, self.broker = (f"{self._own}{letter}" for letter in "drb")

    @staticmethod
    def refused_here() -> str | None:
        """Why this machine lets nobody make a namespace (a container may not, say); None if it does."""
        if shutil.which("ip") is None:
            return "install it with: sudo apt-get install iproute2"
        probe = f"rz{os.getpid()}p"
        try:
            _ip("netns", "add", probe)
            _ip("netns", "delete", probe)
        except RuntimeError as error:
            return str(error)
        return None

    def __enter__(self) -> Self:
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def _make(self) -> None:
        for name in (self.device, self.router, self.broker):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        self._cable(self.device, "up0", DEVICE, "dev0", DEVICE_ROUTER)
        self._cable(self.broker, "up0", BROKER, "brk0", BROKER_ROUTER)
        self._forward(on=True)

    def _cable(self, host: str, host_end: str, address: str, router_end: str, router: str) -> None:
        _ip("link", "add", host_end, "netns", host, "type", "veth", "peer", router_end, "netns", self.router)
        for name, port, own in ((host, host_end, address), (self.router, router_end, router)):
            _ip("-n", name, "address", "add", f"{own}/{MASK}", "dev", port)
            _ip("-n", name, "link", "set", port, "up")
        _ip("-n", host, "route", "add", "default", "via", router)

    def _remove(self) -> None:
        for name in (self.device, self.router, self.broker):
            if Path(f"/run/netns/{name}").exists():
                _ip("netns", "delete", name)

    def _forward(self, *, on: bool) -> None:
        switch = f"echo {int(on)} > /proc/sys/net/ipv4/ip_forward"
        _ip("netns", "exec", self.router, "sh", "-c", switch)

    def part(self, way: str) -> None:
        """Let packets vanish: in `both` directions, one way only, or with the device's cable pulled out."""
        match way:
            case "both":
                self._forward(on=False)
            case "unplugged":
                _ip("-n", self.router, "link", "set", "dev0", "down")
            case _:
                _ip("-n", self.router, "route", "add", "blackhole", f"{_target(way)}/32")

    def heal(self, way: str) -> None:
        """Undo `part`."""
        match way:
            case "both":
                self._forward(on=True)
            case "unplugged":
                _ip("-n", self.router, "link", "set", "dev0", "up")
            case _:
                _ip("-n", self.router, "route", "delete", "blackhole", f"{_target(way)}/32")


def _target(way: str) -> str:
    return BROKER if way == "to_broker" else DEVICE


class FarBroker(Mosquitto):
    """Mosquitto in the broker's namespace."""

    def __init__(self, folder: Path, network: Network) -> None:
        super().__init__(folder)
        self._network = network
        text = self.config_file.read_text(encoding="utf-8")
        listener = f"listener {self.port} 127.0.0.1"
        assert listener in text
        self.config_file.write_text(text.replace(listener, f"listener {self.port} 0.0.0.0"), encoding="utf-8")

    def start(self) -> None:
        """Start it and wait until it says that it runs."""
        self.log_file.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", self._network.broker, self.program, "-c", self.config_file],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._runs, within_seconds=60, what="mosquitto in its namespace")
        time.sleep(0.05)

    def _runs(self) -> bool:
        return self.log_file.exists() and " running" in self.log_file.read_text(errors="replace")

    def kill(self) -> None:
        """Kill it; `ip netns exec` has become the broker itself."""
        if self._process is not None:
            end(self._process, signal.SIGKILL)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")
