"""The power goes in the middle of a sign-in: the patient is signed in or is not, never both, never half."""

import json
import os
import random
import time

import pytest
from parts.edge import Page, jpeg_of
from parts.killed import Apart
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from renzheng.contracts.log import read_entry
from renzheng.edge.device.log import DeviceLog
from renzheng.edge.device.store.database import Store

AGENT = """
import time
from datetime import timedelta
from parts.edge import DAY, StandInEngine, jpeg_of, make_settings
from renzheng.edge.device.clock import SteppedClock
from renzheng.edge.kiosk.main import build_agent
from renzheng.edge.look import attempt, pace
attempt.PASSIVE_MS = 300  # as `hurry` of parts.edge
pace.LONGEST_MS = 3_600_000
clock = SteppedClock(DAY + timedelta(minutes=minute), runs=True)
agent = build_agent(make_settings(folder), clock=clock, engine=StandInEngine())
if not agent.people.references("P1", StandInEngine.model):
    agent.registration.enrol(
        "P1", surname="王某", card_number="62221111", photographs=[jpeg_of(120)], consented=True
    )
agent.start()
tell(agent.kiosk_url)
time.sleep(600)
"""


def start(folder, minute=0):
    """Start the agent; its clock goes on from one start to the next, as a machine's own does."""
    agent = Apart(AGENT, folder=folder, minute=minute)
    return agent, agent.hear()


def sign_in_until_killed(url, agent, kill_after_s):
    """Play the page; return the event id of a green screen that was seen, if one was."""
    killed_at = time.monotonic() + kill_after_s
    Page(url).post("/kiosk/identify", json={"person_id": "P1"})
    with connect(url.replace("http", "ws") + "kiosk/socket", origin=url.rstrip("/")) as socket:
        while True:
            if time.monotonic() >= killed_at and agent.lives:
                agent.strike()
            try:
                socket.send(jpeg_of(120))
                screen = json.loads(socket.recv(timeout=0.02))
            except TimeoutError:
                continue
            except ConnectionClosed:
                return None
            if screen["screen"] == "done":
                agent.strike()
                return screen["event_id"]


def check(folder, seen):
    store = Store(folder / "data" / "device.sqlite")
    log = DeviceLog(store, "kiosk-01")
    log.verify()
    events = [read_entry(line).event for line in log.lines(0, 10_000)]
    ids = {event["id"] for event in events}
    assert seen <= ids
    kinds = ("attendance.sign_in", "attendance.sign_out")
    marks = [event for event in events if event["type"].endswith(kinds)]
    sessions = {row["session_id"]: row for row in store.rows("SELECT * FROM sessions")}
    assert len({event["data"]["session_id"] for event in marks}) == len(sessions)
    for session_id, row in sessions.items():
        of = [
            event["type"].rsplit(".", 1)[-1] for event in marks if event["data"]["session_id"] == session_id
        ]
        assert of == (["sign_in"] if row["signed_out_at"] is None else ["sign_in", "sign_out"])
    store.close()
    return len(marks)


def seconds_of_a_sign_in(folder):
    """How long a sign-in takes on this machine just now, so that the kills fall before, in and after it."""
    agent, url = start(folder)
    began = time.monotonic()
    assert sign_in_until_killed(url, agent, 120) is not None
    took = time.monotonic() - began
    agent.kill()
    assert check(folder, set()) == 1
    return took


def play(folder, rounds, seed):
    chance, seen = random.Random(seed), set()
    longest_s = 1.6 * seconds_of_a_sign_in(folder / "unharmed")
    for number in range(rounds):
        agent, url = start(folder, number)
        event_id = sign_in_until_killed(url, agent, chance.uniform(0.0, longest_s))
        agent.kill()
        if event_id:
            seen.add(event_id)
        marks = check(folder, seen)
    return marks


def test_killed_at_random_moments_of_a_sign_in_nothing_is_half(tmp_path):
    play(tmp_path, 3, seed=6)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_killed_two_hundred_times(tmp_path):
    rounds = int(os.environ.get("FAULTS_COUNT", "200"))
    assert play(tmp_path, rounds, seed=7) > rounds // 10
