"""A site set up as its administrator would, by commands alone: CA, broker, central."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from parts import command_line
from parts.processes import end, find_program, free_port, listens, wait_until

RENZHENG = str(Path(sys.executable).with_name("renzheng"))
SECONDS = 60


def command(*words, cwd, status=0, typed=""):
    """Run `renzheng WORDS` in a folder, with what is `typed` at its prompts; return what it printed."""
    with contextlib.chdir(cwd):
        return command_line.run(*words, status=status, typed=typed)


@contextlib.contextmanager
def running(words, cwd, log, port):
    """Run a program until the block ends; it is there once it listens on `port`."""
    with (cwd / log).open("wb") as out:
        process = subprocess.Popen(list(map(str, words)), cwd=cwd, stdout=out, stderr=out)
    try:
        wait_until(lambda: listens(port), within_seconds=SECONDS, what=f"{words[1]} on {port}")
        yield process
    finally:
        end(process, signal.SIGTERM)


def get(url):
    """Read JSON from an address."""
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        return json.loads(answer.read())


@dataclass(frozen=True)
class Site:
    """A running site: its folder, and where its parts listen."""

    folder: Path
    console: int
    door: int
    broker: int
    protocol: str

    def command(self, *words, **more):
        """Run a command in the site's folder."""
        return command(*words, cwd=self.folder, **more)

    def institution(self, name):
        """Register an institution."""
        self.command("central", "register-institution", "--institution", name, "--name", name,
                     "--region", "371121")  # fmt: skip

    def joined(self, device, institution):
        """Provision a device and let it join; returns its folder, with `edge.toml` in it."""
        told = self.command("device", "provision", "--device", device, "--institution", institution)
        code = re.search(r"\b[A-Z0-9]{4,}(?:-[A-Z0-9]{4,})+\b", told).group(0)
        folder = self.folder / device
        folder.mkdir()
        door = f"https://127.0.0.1:{self.door}"
        command("device", "join", "--central", door, "--config", "edge.toml", cwd=folder, typed=f"{code}\n")
        return folder, code


@contextlib.contextmanager
def running_site(folder, kind, more="", *, run=None):
    """Set a site up with the broker `embedded` or `mosquitto`, and run it; `more` goes into central.toml.

    `run(words, cwd, port)` runs central in another way than `running`.
    """
    console, broker, door = free_port(), free_port(), free_port()
    protocol = "3.1.1" if kind == "embedded" else "5"
    command("central", "init", "--dir", ".", "--name", "127.0.0.1", "--port", console,
            "--protocol", protocol, cwd=folder)  # fmt: skip
    certificates = folder / "data" / "site"
    (folder / "central.toml").write_text(
        f"""
data_dir = "data"
port = {console}
[broker]
host = "127.0.0.1"
port = {broker}
protocol = "{protocol}"
ca_file = "{certificates / "ca.pem"}"
certificate_file = "{certificates / "central.pem"}"
key_file = "{certificates / "central.key"}"
[site]
broker_host = "127.0.0.1"
broker_port = {broker}
listen_host = "127.0.0.1"
listen_port = {door}
{more}"""
    )
    if kind == "embedded":
        words = [RENZHENG, "central", "broker", "--port", broker]
    else:
        command(
            "central", "broker-config", "--out", "mq", "--host", "127.0.0.1", "--port", broker, cwd=folder
        )
        config = folder / "mq" / "renzheng.conf"
        config.write_text(config.read_text() + ("user root\n" if os.geteuid() == 0 else ""))
        words = [find_program("mosquitto", "mosquitto", [Path("/usr/sbin")]), "-c", config]
    central = [RENZHENG, "central", "run"]
    with (
        running(words, folder, "broker.log", broker),
        run(central, folder, console) if run else running(central, folder, "central.log", console),
    ):
        yield Site(folder, console, door, broker, protocol)
