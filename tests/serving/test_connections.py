"""What one caller can take from the others: connections, memory and time are limited."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace

import httpx
import pytest

from perenne.serving.connections import MAX_PIPELINE
from tests.project import Project
from tests.serving.running import BEARER, PATIENCE, TOKEN, Running, example, serving

MOST = 12  # connections
FILES = 256  # descriptors
FLOOD = 60_000_000  # bytes that nobody should read
HEADERS = f"Host: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
HEAD = f"POST /v1/predict HTTP/1.1\r\n{HEADERS}"
CHUNKED = f"{HEAD}Transfer-Encoding: chunked\r\n\r\n"
OPEN = "GET /healthz HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def narrow(founded: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a service that takes few connections, and is patient for a second."""
    to = tmp_path_factory.mktemp("narrow") / "company"
    shutil.copytree(founded.path.parent, to, symlinks=True)
    project = Project(to / "ada")
    project.edit("max_connections: .*", f"max_connections: {MOST}")
    project.edit("request_seconds: .*", "request_seconds: 1")
    with serving(project) as running:
        # A connection that is kept may be closed just when the next request is sent.
        none = httpx.Limits(max_keepalive_connections=0)
        url = running.client.base_url
        with httpx.Client(base_url=url, headers=BEARER, timeout=PATIENCE, limits=none) as client:
            yield replace(running, client=client)


@contextmanager
def connected(running: Running) -> Iterator[socket.socket]:
    """Yield a connection to the service."""
    url = running.client.base_url
    with closing(socket.create_connection((url.host, url.port or 80), timeout=PATIENCE)) as connection:
        yield connection


def rest(connection: socket.socket) -> bytes:
    """Return what the service still sends until it closes the connection."""
    received = b""
    with suppress(ConnectionError):
        while piece := connection.recv(65_536):
            received += piece
    return received


def status(answer: bytes) -> int:
    """Return the status of an answer; 0 if there is none."""
    return int(answer.split(b" ", 2)[1]) if answer else 0


def closed(running: Running, why: str) -> float:
    """Return how many connections were closed for a reason."""
    return running.metric(f'perenne_connections_closed_total{{why="{why}"}}')


ENDLESS: dict[str, tuple[str, bytes]] = {
    "one header": (OPEN, b"x" * 65_536),
    "many headers": (OPEN, b"a: b\r\n" * 10_000),
    "the path": ("GET /", b"x" * 65_536),
    "trailers": (f"{CHUNKED}2\r\n{{}}\r\n0\r\n", b"a: b\r\n" * 10_000),
    "one trailer": (f"{CHUNKED}2\r\n{{}}\r\n0\r\na: ", b"x" * 65_536),
    "extensions of chunks": (f"{CHUNKED}2;", b"x" * 65_536),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_headers_without_end_are_not_read(what: str, narrow: Running) -> None:
    """The connection is closed long before the caller has sent them, and the answer says why."""
    begin, piece = ENDLESS[what]
    before = closed(narrow, "too large")
    sent = 0
    with connected(narrow) as connection:
        connection.sendall(begin.encode())
        with suppress(ConnectionError):
            while sent < FLOOD:
                connection.sendall(piece)
                sent += len(piece)
    assert sent < FLOOD
    assert closed(narrow, "too large") == before + 1


@pytest.mark.parametrize("header", ["x: {}\r\n", "x: y\r\n"])
@pytest.mark.parametrize(("extra", "expected"), [(30_000, 200), (40_000, 431)])
def test_limit_of_headers_does_not_depend_on_packets(
    header: str, extra: int, expected: int, narrow: Running
) -> None:
    """Sent at once or in pieces; a long header, or many short ones."""
    headers = header.format("y" * extra) if "{}" in header else header * (extra // len(header))
    head = f"{OPEN}{headers}Connection: close\r\n\r\n".encode()
    for pieces in ([head], [head[:100], head[100:20_000], head[20_000:]]):
        with connected(narrow) as connection:
            for piece in pieces:
                connection.sendall(piece)
            assert status(rest(connection)) == expected


HALVES: dict[str, tuple[str, int]] = {
    "nothing": ("", 0),
    "half a head": (OPEN, 408),
    "half a body": (f"{HEAD}Content-Length: 9\r\n\r\n{{", 408),
    "half a chunk": (f"{CHUNKED}9\r\n{{", 408),
    "half a body that nobody needs": ("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{", 401),
    "a second half": (f"{OPEN}\r\n{OPEN}", 200),
}


@pytest.mark.parametrize("what", HALVES)
def test_request_that_does_not_arrive_is_given_up(what: str, narrow: Running) -> None:
    """In whatever state it stays."""
    begin, expected = HALVES[what]
    with connected(narrow) as connection:
        connection.sendall(begin.encode())
        answer = rest(connection)
        assert status(answer) == expected or not begin
    assert narrow.get("/healthz") == {"status": "ok"}


@pytest.mark.parametrize(
    ("begin", "drop"),
    [
        ("", b"\r\n"),
        (OPEN, b"a: b\r\n"),
        (f"{OPEN}\r\n", b"\r\n"),
        (f"{HEAD}Content-Length: 99999\r\n\r\n", b" "),
    ],
)
def test_drops_do_not_keep_a_request_alive(begin: str, drop: bytes, narrow: Running) -> None:
    """A byte now and then, for ever."""
    with connected(narrow) as connection:
        gone = threading.Event()

        def trickle() -> None:
            with suppress(OSError):
                while not gone.wait(0.05):
                    connection.sendall(drop)

        connection.sendall(begin.encode())
        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            rest(connection)  # it ends
        finally:
            gone.set()
            thread.join()


def test_answers_that_nobody_reads_are_given_up(narrow: Running) -> None:
    """Requests without end on one connection, whose answers stay in the service."""
    before = closed(narrow, "timeout")
    # So long that few of them are read at once.
    request = f"GET /openapi.json HTTP/1.1\r\n{HEADERS}x: {'y' * 24_000}\r\n\r\n".encode()
    with connected(narrow) as connection, suppress(ConnectionError):
        while True:  # it ends
            connection.sendall(request)
    assert closed(narrow, "timeout") == before + 1


def test_requests_on_one_connection_are_answered_in_order(narrow: Running) -> None:
    """Also if all of them are sent at once, with bodies or without."""
    paths = [f"/{'healthz' if n % 3 else 'nowhere'}" for n in range(MAX_PIPELINE)]
    requests = [
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {n}\r\n\r\n{'b' * n}"
        for n, path in enumerate(paths)
    ]
    with connected(narrow) as connection:
        connection.sendall("".join(requests).encode() + f"{OPEN}Connection: close\r\n\r\n".encode())
        answers = rest(connection)
    found = [int(part.split(b" ", 1)[0]) for part in answers.split(b"HTTP/1.1 ")[1:]]
    assert found == [405 if path == "/healthz" else 401 for path in paths] + [200]


def test_requests_on_one_connection_do_not_pile_up(narrow: Running) -> None:
    """More at once than may wait close it, long before all of them are read."""
    before = closed(narrow, "pipeline")
    with connected(narrow) as connection:
        with suppress(ConnectionError):
            connection.sendall(f"{OPEN}\r\n".encode() * 3_000)
        assert rest(connection).count(b"HTTP/1.1 200") <= MAX_PIPELINE + 1
    assert closed(narrow, "pipeline") == before + 1
    assert narrow.get("/healthz") == {"status": "ok"}


@pytest.mark.parametrize(
    "form", ["Content-Length: {}\r\n\r\n{}", "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n"]
)
def test_request_for_another_protocol_is_answered_in_this_one(form: str, narrow: Running) -> None:
    """Java's client asks for HTTP/2 with its first request; the body, and what follows it, is read."""
    upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"
    body = httpx.Request("POST", "http://x", json={"rows": [example(narrow)]}).content.decode()
    post = f"{HEAD}{upgrade}{form.format(len(body), body)}"
    last = f"{OPEN}{upgrade}\r\n{OPEN}Connection: close\r\n\r\n"
    for pieces in (
        [post + post + last],
        [post[:40], post[40:-9], post[-9:] + post, last],
        [*(post + post + last)],
    ):
        with connected(narrow) as connection:
            for piece in pieces:
                connection.sendall(piece.encode())
            answers = rest(connection).split(b"HTTP/1.1 ")[1:]
        assert [int(answer.split(b" ", 1)[0]) for answer in answers] == [200] * 4


@pytest.mark.parametrize("begin", ["", OPEN, f"{HEAD}Content-Length: 9\r\n\r\n{{"])
def test_oldest_waiting_connection_gives_way(begin: str, narrow: Running) -> None:
    """Half-sent requests lock nobody out."""
    before = closed(narrow, "shed")
    with ExitStack() as stack:
        half = [stack.enter_context(connected(narrow)) for _ in range(3 * MOST)]
        for connection in half:
            with suppress(ConnectionError):
                connection.sendall(begin.encode())
        with httpx.Client(base_url=narrow.client.base_url, headers=BEARER) as other:
            assert other.get("/healthz").status_code == 200
            assert other.get("/v1/model").status_code == 200
        assert status(rest(half[0])) in (0, 503)
    assert closed(narrow, "shed") > before


def test_health_is_answered_while_all_connections_are_busy(narrow: Running) -> None:
    """Predictions wait for the log; whoever restarts the service must not take it for dead."""
    body = httpx.Request("POST", "http://x", json={"rows": [example(narrow)]}).content
    log = sqlite3.connect(narrow.project.path.parent / "log.sqlite", isolation_level=None)
    with closing(log), ExitStack() as stack:
        log.execute("begin immediate")
        for _ in range(MOST):
            busy = stack.enter_context(connected(narrow))
            busy.sendall(f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        with connected(narrow) as late:
            late.sendall(f"{OPEN}\r\n".encode())
            assert status(late.recv(65_536)) == 200
        with connected(narrow) as late:
            late.sendall(f"{HEAD}Content-Length: 2\r\n\r\n{{}}".encode())
            assert status(rest(late)) == 503
        assert status(busy.recv(65_536)) == 503  # in time, though the log is locked
    narrow.until_ready()


@pytest.mark.usefixtures("cold")  # a warm process has its own limit
def test_half_sent_requests_leave_descriptors_for_the_rest(company: Project) -> None:
    """With few descriptors, health is answered and the stage is followed."""
    with serving(company, files=FILES) as running, ExitStack() as stack:
        for _ in range(FILES + 50):
            half = stack.enter_context(connected(running))
            with suppress(ConnectionError):
                half.sendall(OPEN.encode())
        with httpx.Client(base_url=running.client.base_url, headers=BEARER, timeout=PATIENCE) as other:
            assert other.get("/healthz").status_code == 200
            assert other.post("/admin/reload").json() == {"version": "v1.0.0", "swapped": False}
            assert other.get("/readyz").json()["refused"] is None
