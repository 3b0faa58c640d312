"""The quick way to predictions: the bytes of the usual way, for plain small requests, and for no other."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from perenne.serving.app import failure
from perenne.serving.batcher import Busy, Done
from perenne.serving.connections import Connections
from perenne.serving.log import LogUnavailable
from perenne.serving.predictions import PredictResult, as_json
from perenne.serving.prometheus import ServiceMetrics
from perenne.serving.quick import QuickProtocol, QuickRoute
from perenne.serving.rows import InputRow, PredictAdapter, example
from perenne.serving.slices import SMALL, SMALL_BODY
from tests import tiny
from tests.serving.running import TOKEN, Running
from tests.serving.running import example as row_of
from tests.serving.test_connections import connected, rest

PATH = "/v1/predict"
PLAIN = {"Content-Type": "application/json"}
TAKEN: dict[str, dict[str, str]] = {"plain": {}, "other headers": {"Accept": "*/*", "X": "y"}}
LEFT: dict[str, dict[str, str]] = {
    "a parameter": {"Content-Type": "application/json; charset=utf-8"},
    "another type": {"Content-Type": "text/plain"},
    "no type": {"Content-Type": ""},
    "packed": {"Content-Encoding": "gzip"},
    "of a page": {"Origin": "http://localhost"},
    "waits for a word": {"Expect": "100-continue"},
    "large": {"Content-Length": str(SMALL_BODY + 1)},
}


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        """Return whether it was closed."""
        return self.closed

    def close(self) -> None:
        """Close it."""
        self.closed = True

    def pause_reading(self) -> None:
        """Nothing is read here."""

    def resume_reading(self) -> None:
        """Nothing is read here."""

    def get_write_buffer_size(self) -> int:
        """Return 0: all is sent."""
        return 0


class Bench:
    """A connection, whose predictions are given by hand, and the paths that went the usual way."""

    def __init__(self, *, refused: bool = False, max_body: int = 1_000_000) -> None:
        self.waiting: list[tuple[list[InputRow], Done]] = []
        self.usual: list[bytes] = []
        self.busy = False
        self.metrics = ServiceMetrics([0.5], list)
        self.route = QuickRoute(
            PATH,
            max_body,
            PredictAdapter(tiny.contract(), 100),
            lambda _: refused,
            self._predict,
            partial(as_json, threshold=0.5),
            partial(failure, path=PATH),
            self.metrics,
        )
        config = Config(self._app, interface="asgi3", proxy_headers=False, ws="none", log_config=None)
        self.state = ServerState()
        self.state.default_headers = [(b"date", b"today")]
        connections = Connections(10, 20)
        self.protocol = QuickProtocol(self.route, connections, config, self.state, {})
        self.wire = Wire()
        self.protocol.connection_made(self.wire)

    def send(self, body: Any, **headers: str) -> None:
        """Send a request; `_` stands for `-` in the names of headers."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Host": "x", **PLAIN, "Content-Length": str(len(content))}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        self.protocol.data_received(f"POST {PATH} HTTP/1.1\r\n{head}\r\n".encode() + content)

    def answer(self, number: int = 0) -> None:
        """Answer what waits."""
        rows, done = self.waiting.pop(number)
        done(PredictResult("v1.0.0", ["id"] * len(rows), [0.75] * len(rows), [[] for _ in rows]))

    def _predict(self, rows: Any, done: Done) -> None:
        if self.busy:
            raise Busy
        self.waiting.append((rows, done))

    async def _app(self, _: Any, receive: Any, send: Any) -> None:
        message = await receive()
        self.usual.append(message["body"])
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


ROWS = {"rows": [example(tiny.contract())]}
BODY = b'{"model_version":"v1.0.0","predictions":[{"id":"id","score":0.75,"class":1}]}'
GOOD = b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: %d\r\ncontent-type: application/json\r\n" % len(
    BODY
)


def in_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test in its own event loop."""

    def run() -> None:
        asyncio.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def settled() -> None:
    """Let the usual way end."""
    for _ in range(10):
        await asyncio.sleep(0)


@in_a_loop
async def test_small_request_needs_no_task() -> None:
    """Its answer is one write, its request is counted, and the connection takes the next one."""
    bench = Bench()
    for number in range(1, 3):
        bench.send(ROWS)
        assert not bench.state.tasks
        bench.answer()
        assert bench.wire.writes == [GOOD + b"\r\n" + BODY] * number
    assert not bench.usual
    counted = 'perenne_requests_total{path="/v1/predict",status="200"} 2.0'
    assert counted in bench.metrics.text().decode()


@in_a_loop
async def test_body_may_arrive_in_pieces() -> None:
    """Nothing is scored before the last of them."""
    bench = Bench()
    content = json.dumps(ROWS).encode()
    bench.send(content[:9], Content_Length=str(len(content)))
    assert not bench.waiting
    bench.protocol.data_received(content[9:])
    bench.answer()
    assert bench.wire.writes == [GOOD + b"\r\n" + BODY]


@in_a_loop
async def test_connection_is_closed_if_its_caller_says_so() -> None:
    """And the answer says it."""
    bench = Bench()
    bench.send(ROWS, Connection="close")
    bench.answer()
    assert bench.wire.writes == [GOOD + b"connection: close\r\n\r\n" + BODY]
    assert bench.wire.closed


@in_a_loop
async def test_second_request_waits_for_the_first() -> None:
    """On one connection answers have the order of their requests; the second goes the usual way."""
    bench = Bench()
    bench.send(ROWS)
    bench.send(ROWS)
    await settled()
    assert (len(bench.waiting), bench.usual, bench.wire.writes) == (1, [], [])
    bench.answer()
    await settled()
    assert bench.usual == [json.dumps(ROWS).encode()]
    assert [data[:12] for data in bench.wire.writes if data] == [b"HTTP/1.1 200", b"HTTP/1.1 202"]
    bench.send(ROWS)
    assert len(bench.waiting) == 1


@in_a_loop
async def test_caller_that_has_gone_gets_nothing() -> None:
    """It left while its rows were scored, with a word or without."""
    for error in (None, ConnectionResetError()):
        bench = Bench()
        bench.send(ROWS)
        bench.protocol.connection_lost(error)
        bench.answer()
        assert bench.wire.writes == []


@in_a_loop
async def test_errors_are_those_of_the_usual_way() -> None:
    """Of the log, of code, and those that nobody expected: without the values in their messages."""
    for error, status, text in (
        (LogUnavailable("disk"), 503, b"the log could not be written"),
        (ValueError("a salary"), 500, b"internal error"),
    ):
        bench = Bench()
        bench.send(ROWS)
        bench.waiting.pop()[1](error)
        (answer,) = bench.wire.writes
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert text in answer
        assert b"salary" not in answer
        assert f'status="{status}"}} 1.0' in bench.metrics.text().decode()


@pytest.mark.parametrize("what", [*TAKEN, *LEFT])
def test_plain_requests_alone_are_taken(what: str) -> None:
    """All others go the usual way."""
    headers = {name.replace("-", "_"): value for name, value in (TAKEN | LEFT)[what].items()}

    async def work() -> None:
        bench = Bench()
        bench.send(ROWS, **headers)
        await settled()
        assert len(bench.waiting) == (what in TAKEN)

    asyncio.run(work())


@in_a_loop
async def test_what_is_wrong_goes_the_usual_way() -> None:
    """With its whole body: what is no row, too many rows, a service that is busy, a token that is none."""
    many = {"rows": ROWS["rows"] * (SMALL + 1)}
    bodies: list[Any] = [{"rows": [{}]}, b"{", b"\xef\xbb\xbf" + json.dumps(ROWS).encode(), many]
    for body in bodies:
        bench = Bench()
        bench.send(body)
        await settled()
        assert bench.usual == [body if isinstance(body, bytes) else json.dumps(body).encode()]
        assert not bench.waiting
    busy, refused, narrow = Bench(), Bench(refused=True), Bench(max_body=10)
    busy.busy = True
    for bench in (busy, refused, narrow):
        bench.send(ROWS)
        await settled()
        assert len(bench.usual) == 1


BODIES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a row": lambda row: {"rows": [row]},
    "rows": lambda row: {"rows": [row, row | {"site": "Brest"}]},
    "a wrong value": lambda row: {"rows": [row | {"age": "old"}]},
    "an empty list": lambda _: {"rows": []},
    "no object": lambda _: [],
    "many rows": lambda row: {"rows": [row] * (SMALL + 1)},
}


@pytest.mark.parametrize("what", BODIES)
def test_both_ways_send_the_same_bytes(what: str, served: Running) -> None:
    """Status, headers in their order, and body; but for the ids and the time."""
    content = json.dumps(BODIES[what](row_of(served))).encode()
    answers = []
    for kind in ("application/json", "application/json; charset=utf-8"):
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: {kind}\r\n"
        with connected(served) as connection:
            length = f"Connection: close\r\nContent-Length: {len(content)}\r\n\r\n"
            connection.sendall(f"{head}{length}".encode() + content)
            answers.append(re.sub(rb'"id":"[0-9a-f]+"|date: [^\r]+', b"", rest(connection)))
    assert answers[0] == answers[1]
    assert answers[0].startswith(b"HTTP/1.1 ")
