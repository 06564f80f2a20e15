"""The cable carries bytes until it is pulled, and again after it is plugged in."""

import contextlib
import socket
import threading

import pytest

from renzheng.deploy.demo.cable import Cable


@pytest.fixture
def echo_port():
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                end, _ = listener.accept()
                threading.Thread(target=answer, args=(end,), daemon=True).start()

    def answer(end):
        with end, contextlib.suppress(OSError):
            while data := end.recv(100):
                end.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def ask(port):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as end:
        end.sendall(b"hello")
        return end.recv(100)


def test_it_carries_both_ways(echo_port):
    with Cable(echo_port) as cable:
        assert ask(cable.port) == b"hello"


def test_pulled_it_cuts_what_is_open_and_refuses_what_is_new(echo_port):
    with Cable(echo_port) as cable, socket.create_connection(("127.0.0.1", cable.port), timeout=60) as end:
        end.sendall(b"x")
        assert end.recv(100) == b"x"
        cable.pull()
        assert end.recv(100) == b""
        with contextlib.suppress(ConnectionError):
            assert ask(cable.port) == b""


def test_plugged_in_again_it_carries_again(echo_port):
    with Cable(echo_port) as cable:
        cable.pull()
        cable.plug()
        assert ask(cable.port) == b"hello"
