"""A disk that fills up under the device's store, on a small file system of its own."""

import subprocess
import time

import pytest
from faults.counts import often
from faults.rig import Rig, eventually
from parts.processes import is_root

pytestmark = [
    pytest.mark.mosquitto,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not is_root(), reason="mounting a small file system needs root: sudo make faults"),
]


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:  # a container whose root may not
        pytest.skip(f"no small file system on this machine: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder):
    """Take all the space there is, down to the last block."""
    with (folder / "ballast").open("ab", buffering=0) as out:
        for size in (65_536, 4_096, 512):
            try:
                while out.write(bytes(size)):
                    pass
            except OSError:
                continue


def test_a_full_disk_is_said_and_survived(tmp_path, broker, counts, small_disk):
    rounds, said, killed = often(2, 40), 0, 0
    with Rig(tmp_path, broker, device_ids=["kiosk-1"], device_folder=lambda _: small_disk) as rig:
        agent = rig.agents[0]
        for number in range(rounds):
            assert rig.grows(restarting=True)
            agent.orders.refused.write_text("", encoding="utf-8")
            fill(small_disk)
            assert eventually(lambda: "is full" in agent.orders.refused.read_text(encoding="utf-8"), 60)
            said += 1
            if number % 2:
                rig.again(agent)
                killed += 1
            time.sleep(0.3)
            (small_disk / "ballast").unlink()
        # a start on a full disk may fail, however late; whoever runs the agent starts it again
        assert rig.grows(restarting=True)
        assert rig.drain()
        figures = rig.account().check()
    counts.add("disk full", filled=rounds, said=said, killed_while_full=killed, **figures)
