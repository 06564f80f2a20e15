"""A worker survives what its turns end in, and says so; one that cannot go on ends the process."""

import errno
import logging
import socket
import threading
import time

import pytest

from renzheng.common import supervised
from renzheng.common.supervised import (
    END_WITHIN_SECONDS,
    Notifier,
    Worker,
    WorkerGaveUpError,
    Workers,
    attend,
)
from renzheng.contracts.errors import InputError


class Steps:
    """A clock that is moved by hand."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Rounds:
    """Ends after so many waits; `before` is done in each."""

    def __init__(self, most, before=lambda: None):
        self.left = most
        self.asked = []
        self.before = before

    def wait(self, timeout=None):
        self.asked.append(timeout)
        self.left -= 1
        self.before()
        return self.left < 0


def words(receiver):
    receiver.settimeout(0)
    heard = []
    while True:
        try:
            heard.append(receiver.recv(100).decode())
        except BlockingIOError:
            return heard


def done(worker):
    worker.stop()
    assert not worker.is_alive()


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "Input/output error"), ValueError("P0001"), InputError("what"), KeyError(1)]
)
def test_an_error_ends_a_turn_and_no_more(error, caplog):
    went, again = [], threading.Event()

    def turn():
        went.append(1)
        if len(went) == 1:
            raise error
        again.set()
        return 60.0

    worker = Worker("w", turn)
    with caplog.at_level(logging.WARNING):
        worker.start()
        assert again.wait(60)
        done(worker)
    assert worker.state().failures == 1
    assert "P0001" not in caplog.text, "what an error says may name people"
    assert "test_supervised.py" in caplog.text, "where it came from is said"


def test_a_worker_that_fails_says_so_until_it_is_well_again():
    failing, seen, well = threading.Event(), threading.Event(), threading.Event()
    failing.set()

    def turn():
        if failing.is_set():
            seen.set()
            raise OSError(errno.ENOSPC, "No space left on device")
        well.set()

    worker = Worker("w", turn, every_seconds=0.01, longest_wait_seconds=0.01)
    worker.start()
    assert seen.wait(60)
    workers = Workers([worker])
    assert supervised_eventually(lambda: worker.state().condition == "failing")
    assert workers.troubled()[0].problem == "OSError (No space left on device)"
    assert workers.moving(), "it moves: the watchdog need not start it anew"
    failing.clear()
    assert well.wait(60)
    assert supervised_eventually(lambda: worker.state().condition == "ok")
    done(worker)


def supervised_eventually(check):
    waiting = threading.Event()
    for _ in range(3000):
        if check():
            return True
        waiting.wait(0.01)
    return False


def test_a_failing_worker_backs_off_and_is_not_hurried_by_what_wakes_it():
    tried = []

    def turn():
        tried.append(1)
        raise ValueError

    worker = Worker("w", turn, longest_wait_seconds=3600)
    began = time.monotonic()
    worker.start()
    for _ in range(200):
        worker.wake()
        worker.wait(0.005)
    done(worker)
    # at 0, 0.2, 0.6, 1.4 s ...: so many that the rests between them have passed
    assert supervised.FIRST_WAIT_SECONDS * (2 ** (len(tried) - 1) - 1) <= time.monotonic() - began


def test_wake_takes_the_next_turn_at_once():
    turns = threading.Semaphore(0)
    worker = Worker("w", turns.release, every_seconds=3600)
    worker.start()
    assert turns.acquire(timeout=60)
    worker.wake()
    assert turns.acquire(timeout=60)
    done(worker)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_library_that_calls_exit_ends_the_process():
    worker = Worker("faces", exit)
    worker.start()
    assert supervised_eventually(lambda: not worker.is_alive())
    hard = []
    with pytest.raises(WorkerGaveUpError, match="faces") as raised:
        attend(Workers([worker]), Rounds(1), notifier=Notifier({}), end_hard=hard.append)
    assert raised.value.exit_status == 3
    assert hard == [END_WITHIN_SECONDS]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_systemd_hears_that_all_is_well_while_every_worker_turns_and_nothing_once_one_has_died(tmp_path):
    dying = threading.Event()

    def turn():
        if dying.is_set():
            raise SystemExit

    workers = Workers(Worker(name, work, every_seconds=0.01) for name, work in (("a", turn), ("b", int)))
    mortal, healthy = workers._workers
    for worker in (mortal, healthy):
        worker.start()
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path)
        told = Notifier({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "6000000"})
        attend(workers, Rounds(2), notifier=told)
        assert words(receiver) == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"]
        dying.set()
        assert supervised_eventually(lambda: not mortal.is_alive())
        with pytest.raises(WorkerGaveUpError, match="worker a"):
            attend(workers, Rounds(5), notifier=told, end_hard=lambda _seconds: None)
        assert words(receiver) == ["READY=1", "STOPPING=1"]
    assert healthy.is_alive()
    done(healthy)


def test_a_server_that_ends_unasked_ends_the_process():
    worker = Worker("web", lambda: None, repeatable=False)
    worker.start()
    assert supervised_eventually(lambda: not worker.is_alive())
    assert worker.state().condition == "dead"
    assert Workers([worker]).gave_up() is not None


def test_an_essential_worker_that_fails_for_long_gives_up_and_others_do_not(monkeypatch):
    monkeypatch.setattr(supervised, "GIVE_UP_SECONDS", 0.0)
    monkeypatch.setattr(supervised, "GIVE_UP_FAILURES", 3)

    def turn():
        raise ValueError

    essential = Worker("ingest", turn, essential=True, longest_wait_seconds=0.01)
    other = Worker("lists", turn, longest_wait_seconds=0.01)
    for worker in (essential, other):
        worker.start()
    assert supervised_eventually(lambda: essential.state().gave_up)
    assert supervised_eventually(lambda: other.state().failures > 3)
    assert not other.state().gave_up
    done(essential)
    done(other)


def test_a_turn_that_hangs_starves_the_watchdog_and_one_that_beats_does_not(tmp_path):
    clock, go = Steps(), threading.Event()
    begun = threading.Event()

    def turn():
        begun.set()
        go.wait(60)

    worker = Worker("link", turn, longest_turn_seconds=10, monotonic=clock)
    worker.start()
    assert begun.wait(60)
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path)
        told = Notifier({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "6000000"})

        def later():
            clock.now += 8

        rounds = Rounds(3, before=later)
        attend(Workers([worker]), rounds, notifier=told)
        assert words(receiver) == ["READY=1", "WATCHDOG=1", "STOPPING=1"]
        assert worker.state().condition == "stalled"
        worker.beat()
        attend(Workers([worker]), Rounds(1), notifier=told)
        assert words(receiver) == ["READY=1", "WATCHDOG=1", "STOPPING=1"]
    assert rounds.asked == [2.0] * 4
    go.set()
    done(worker)


def test_a_worker_that_hangs_for_ever_ends_the_process_without_systemd_too():
    clock, go, begun = Steps(), threading.Event(), threading.Event()

    def turn():
        begun.set()
        go.wait(60)

    worker = Worker("link", turn, longest_turn_seconds=10, monotonic=clock)
    worker.start()
    assert begun.wait(60)
    clock.now += 10 + supervised.STALLED_TOO_LONG_SECONDS + 1
    assert worker.state().gave_up
    go.set()
    done(worker)


def test_what_is_done_at_the_end_is_done_in_the_thread_after_the_last_turn():
    order = []
    worker = Worker(
        "link",
        lambda: order.append("turn"),
        every_seconds=3600,
        at_end=lambda: order.append(threading.current_thread().name),
    )
    worker.start()
    assert supervised_eventually(lambda: order)
    done(worker)
    assert order == ["turn", "link"]


def test_one_that_was_never_started_can_be_stopped_and_is_well():
    worker = Worker("w", lambda: None)
    assert worker.state().condition == "ok"
    worker.stop()


def test_without_systemd_it_only_waits():
    ended = threading.Event()
    ended.set()
    attend(Workers(), ended, notifier=Notifier({}))


def test_a_socket_that_is_gone_stops_nothing(tmp_path):
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).say("READY=1")
