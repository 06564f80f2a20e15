"""What an application reads of a request: the middleware alone, spoken to as a server would."""

import asyncio
import json

import pytest

from renzheng.common.limits import BodyLimits, BodyRefusedError, RequestLimits, counted

LIMITS = BodyLimits(10, {"/frames/": 100, "/frames/small": 5})


class Call:
    """One request: what the server hands over, what it was answered, and what the application saw."""

    def __init__(self, path, parts, *, declared=None, **settings):
        self.parts = list(parts)
        headers = [] if declared is None else [(b"content-length", str(declared).encode())]
        self.scope = {"type": "http", "path": path, "headers": headers}
        self.read = 0
        self.sent = []
        self.seen = None
        self.limits = RequestLimits(self.app, LIMITS, **settings)

    async def app(self, _scope, receive, send):
        self.seen = (await receive())["body"]
        self.after = await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"well"})

    async def receive(self):
        if not self.parts:
            return {"type": "http.disconnect"}
        self.read += 1
        part = self.parts.pop(0)
        if part is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": part, "more_body": bool(self.parts)}

    async def send(self, message):
        self.sent.append(message)

    def run(self):
        asyncio.run(self.limits(self.scope, self.receive, self.send))
        return self.sent[0]["status"]

    @property
    def problem(self):
        return json.loads(b"".join(message.get("body", b"") for message in self.sent))["problem"]


@pytest.mark.parametrize(
    ("path", "most"), [("/", 10), ("/frames", 10), ("/frames/1", 100), ("/frames/small", 5)]
)
def test_the_longest_beginning_of_the_path_says_how_much(path, most):
    assert Call(path, [b"x" * most]).run() == 200
    assert Call(path, [b"x" * (most + 1)]).run() == 413


def test_what_is_declared_too_large_is_not_read_before_the_answer():
    call = Call("/", [b"x" * 11], declared=11)
    told = []
    call.send, kept = lambda message: told.append((call.read, message)) or kept(message), call.send
    assert call.run() == 413
    assert told[0][0] == 0
    assert call.seen is None
    assert (b"connection", b"close") in call.sent[0]["headers"]
    assert call.problem == "too_large"


def test_a_body_without_length_is_cut_at_the_limit():
    call = Call("/", [b"x" * 6] * 1000)
    assert call.run() == 413
    assert call.seen is None


def test_a_body_in_parts_is_handed_over_whole_and_once():
    call = Call("/", [b"ab", b"", b"cd"])
    assert call.run() == 200
    assert call.seen == b"abcd"
    assert call.after == {"type": "http.disconnect"}


def test_a_body_that_does_not_come_is_given_up():
    call = Call("/", [b"x", None], body_seconds=0.01)
    assert call.run() == 408
    assert call.seen is None


def test_bodies_that_are_held_are_bounded_and_given_back():
    call = Call("/", [b"x" * 5, b"y" * 5], at_once=9)
    assert call.run() == 503
    call.parts, call.sent = [b"x" * 9], []
    assert call.run() == 200


def test_an_answer_that_nobody_takes_is_taken_back():
    call = Call("/", [b"x"], send_seconds=0.01)

    async def never(_message):
        await asyncio.Event().wait()

    call.send = never
    with pytest.raises(TimeoutError):
        call.run()


def test_a_caller_that_leaves_is_not_answered():
    call = Call("/", [])
    asyncio.run(call.limits(call.scope, call.receive, call.send))
    assert call.sent == []
    assert call.seen is None


def test_a_streamed_body_is_counted_as_it_comes_and_not_held():
    async def read(parts, most, seconds=60.0):
        waiting = list(parts)

        async def receive():
            if waiting[0] is None:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

        next_part = counted(most, seconds, receive)
        return [(await next_part())["body"] for _ in parts]

    assert asyncio.run(read([b"12345", b"67890"], 10)) == [b"12345", b"67890"]
    for parts, most, seconds, status in (([b"123456", b"67890"], 10, 60.0, 413), ([None], 10, 0.0, 408)):
        with pytest.raises(BodyRefusedError) as refused:
            asyncio.run(read(parts, most, seconds))
        assert refused.value.status == status
