"""What systemd is told, over a real datagram socket."""

import socket
import threading

from renzheng.edge.supervision import Supervisor


class Rounds:
    """Ends after so many waits."""

    def __init__(self, most):
        self.left = most
        self.asked = []

    def wait(self, timeout=None):
        self.asked.append(timeout)
        self.left -= 1
        return self.left < 0


def words(receiver):
    receiver.settimeout(0)
    heard = []
    while True:
        try:
            heard.append(receiver.recv(100).decode())
        except BlockingIOError:
            return heard


def test_ready_then_alive_as_long_as_it_is_then_stopping(tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path)
        answers = iter([True, False, True])
        rounds = Rounds(3)
        Supervisor({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "60000000"}).attend(rounds, lambda: next(answers))
        assert words(receiver) == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"]
    assert rounds.asked == [20.0] * 4


def test_without_systemd_it_only_waits():
    ended = threading.Event()
    ended.set()
    Supervisor({}).attend(ended, lambda: False)


def test_a_socket_that_is_gone_does_not_stop_the_kiosk(tmp_path):
    Supervisor({"NOTIFY_SOCKET": str(tmp_path / "gone")}).say("READY=1")
