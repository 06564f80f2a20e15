"""Wrong access tokens are answered late, few at a time; the right one at once, whatever came before."""

import asyncio

import pytest
from fastapi import Request, Response

from renzheng.central.errors import SettingsError
from renzheng.central.web import guesses as guessing
from renzheng.central.web.access import COOKIE, Gate, read_token
from renzheng.central.web.guesses import Guesses

TOKEN = "a-long-enough-token"


class Time:
    """A clock that only waiting moves."""

    def __init__(self):
        self.now, self.waited = 0.0, []

    async def wait(self, seconds):
        self.waited.append(seconds)
        self.now += seconds

    def guesses(self, **more):
        return Guesses(wait=self.wait, clock=lambda: self.now, **more)


class Client:
    """Calls the gate as one address; keeps the cookie that it is given."""

    def __init__(self, guesses, caller="10.0.0.1"):
        self.gate, self.caller, self.cookie = Gate(TOKEN, guesses), caller, None

    def request(self, path, headers, body=b""):
        told = {**headers, **({"Cookie": self.cookie} if self.cookie else {})}
        scope = {
            "type": "http", "method": "GET", "path": path, "query_string": b"", "scheme": "http",
            "headers": [(name.lower().encode(), value.encode()) for name, value in told.items()],
            "client": (self.caller, 1), "server": ("127.0.0.1", 1),
        }  # fmt: skip

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        return Request(scope, receive)

    def get(self, **headers):
        async def devices(_request):
            return Response("[]")

        return asyncio.run(self.gate(self.request("/api/v1/devices", headers), devices))

    def sign_in(self, token):
        request = self.request("/sign-in", {}, f"token={token}".encode())
        answer = asyncio.run(self.gate.sign_in_by_token(request))
        if answer is not None:
            self.cookie = answer.headers["set-cookie"].split(";")[0]
        return answer


def guess(client, number):
    return client.get(Authorization=f"Bearer wrong-{number}").status_code


def test_each_wrong_token_is_answered_later_than_the_one_before_and_the_right_one_at_once():
    time, counted = Time(), []
    client = Client(time.guesses(count=lambda: counted.append(1)))
    assert [guess(client, n) for n in range(12)] == [401] * 12
    assert time.waited == [0.05, 0.1, 0.2, 0.25, 0.25, 0.25, 0.25]
    assert len(counted) == 12
    assert client.get(Authorization=f"Bearer {TOKEN}").status_code == 200
    assert len(time.waited) == 7, "its holder waits for nobody"
    assert guess(client, 0) == 401
    assert len(time.waited) == 7, "and begins anew"


def test_no_program_takes_the_wait_for_a_dead_server_and_a_thousand_guesses_take_minutes():
    time = Time()
    client = Client(time.guesses())
    for number in range(300):
        guess(client, number)
    assert max(time.waited) < 1
    for number in range(1_000):
        guess(client, number)
    assert 8 <= max(time.waited) < 10
    assert time.now > 20 * 60


@pytest.mark.parametrize("way", ["form", "cookie"])
def test_form_and_cookie_are_no_way_around(way):
    time = Time()
    client = Client(time.guesses())
    for number in range(6):
        if way == "form":
            assert client.sign_in(f"wrong-{number}") is None
        else:
            answer = client.get(Cookie=f"{COOKIE}={number}")
            assert f'{COOKIE}=""' in answer.headers["set-cookie"], "a browser does not go on with it"
    assert time.waited == [0.05]
    assert client.sign_in(TOKEN).status_code == 303
    assert client.get().status_code == 200, "by the cookie"
    assert time.waited == [0.05]


def test_many_callers_together_are_slowed_too_and_a_caller_without_a_token_is_no_guess():
    time = Time()
    shared = time.guesses()
    for number in range(guessing.FREE_FAILURES_OF_ALL + 1):
        assert Client(shared, f"10.0.1.{number}").get().status_code == 401
        assert guess(Client(shared, f"10.0.1.{number}"), 0) == 401
    assert time.waited == [0.05]
    time.now += guessing.FORGOTTEN_SECONDS
    assert guess(Client(shared, "10.0.2.1"), 0) == 401
    assert time.waited == [0.05]


def test_only_a_few_answers_are_held_back_and_no_memory_grows():
    async def flood():
        held = asyncio.Event()
        guesses = Guesses(wait=lambda _seconds: held.wait(), clock=lambda: 0.0)
        tried = [asyncio.create_task(guesses.fail(f"10.0.{n % 9}.1")) for n in range(5_000)]
        await asyncio.sleep(0)
        waiting = sum(not one.done() for one in tried)
        held.set()
        answers = await asyncio.gather(*tried)
        for number in range(guessing.MOST_CALLERS + 10):
            guesses._fail(str(number))
        return waiting, answers.count(False), guesses

    waiting, turned_away, guesses = asyncio.run(flood())
    assert waiting == guessing.MOST_HELD
    assert turned_away > 4_000
    assert guesses._held == {}
    assert len(guesses._failures) == guessing.MOST_CALLERS


def test_one_caller_holds_few_places():
    async def flood():
        held = asyncio.Event()
        guesses = Guesses(wait=lambda _seconds: held.wait(), clock=lambda: 0.0)
        tried = [asyncio.create_task(guesses.fail("10.0.0.1")) for _ in range(50)]
        await asyncio.sleep(0)
        waiting = sum(not one.done() for one in tried)
        held.set()
        await asyncio.gather(*tried)
        return waiting

    assert asyncio.run(flood()) == guessing.MOST_HELD_OF_ONE


@pytest.mark.parametrize("token", ["abababababababababab", "abcdefghijklmnopqrst", "11111111111111111111"])
def test_a_token_that_is_soon_guessed_is_refused_at_start(tmp_path, token):
    (tmp_path / "token").write_text(token)
    with pytest.raises(SettingsError, match="soon guessed"):
        read_token(tmp_path / "token")
