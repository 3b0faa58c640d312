"""Limits on what a caller can hold: a connection, its memory, and the time until a request has arrived.

uvicorn has none of them: a request that never ends keeps its connection for ever, headers without end fill
the memory, and once all file descriptors are taken neither health checks nor the follower get one.
"""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Literal

import httptools
from pydantic_core import to_json
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from perenne.serving.guard import OPEN
from perenne.serving.prometheus import Reading

MAX_HEAD = 32_768  # bytes of a request's line and headers; of what surrounds the pieces of a chunked body too
AROUND = len(b": \r\n")  # bytes of a header that are neither its name nor its value
MAX_FRAMING = 8  # bytes around a piece of a chunked body, for each byte in it
RESERVED = 100  # descriptors for the log, the repository, and the processes that follow
FEWEST = 16  # connections, however few descriptors there are
SUPERVISORS = 16  # connections beyond the limit, for health checks
MAX_PIPELINE = 16  # requests of a connection that wait for those before them
LINGER = 2.0  # seconds to read a refusal; closing at once may take it away from its caller
MAX_DROPPED = 2_000_000  # bytes that are taken and dropped meanwhile
TIMEOUT, SHED, TOO_LARGE, FULL, PIPELINE = "timeout", "shed", "too large", "full", "pipeline"
CROWDED = "too many connections; try again"
FRAMING = (b"content-length", b"transfer-encoding")
OPEN_URLS = {path.encode() for path in OPEN}


class Connections:
    """All open connections.

    Parameters
    ----------
    most
        How many there may be. The limit of file descriptors may lower it.
    seconds
        In which a request has to arrive, and an answer to be taken.

    Attributes
    ----------
    make
        Makes the protocol of a connection.

    """

    def __init__(self, most: int, seconds: float) -> None:
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.most = most if files == resource.RLIM_INFINITY else min(most, max(files - RESERVED, FEWEST))
        self.seconds = seconds
        self.make: Callable[..., LimitedProtocol] = LimitedProtocol
        self._open: dict[LimitedProtocol, None] = {}  # in the order of their beginnings
        self._give: Callable[[int], None] | None = None
        self._closed: Counter[str] = Counter(dict.fromkeys((TIMEOUT, SHED, TOO_LARGE, FULL, PIPELINE), 0))

    def protocol(self, *arguments: Any, **options: Any) -> LimitedProtocol:  # uvicorn's own
        """Make the protocol of a new connection."""
        return self.make(self, *arguments, **options)

    def add(self, new: LimitedProtocol) -> None:
        """Take a connection in; beyond the limit the oldest one that waits for its caller has to go.

        If none waits, what is being answered is answered, and of the new ones a few are taken in to be asked
        whether the service is alive.
        """
        self._open[new] = None
        if len(self._open) <= self.most:
            return
        oldest = next(protocol for protocol in self._open if protocol.waits)  # if nobody else, the new one
        if oldest is not new:
            self.close(oldest, SHED)
        elif len(self._open) <= self.most + SUPERVISORS:
            new.only_open = True
        else:
            self.close(new, FULL)

    def close(self, protocol: LimitedProtocol, why: str) -> None:
        """Close a connection at once, for a reason."""
        self._closed[why] += 1
        self._open.pop(protocol, None)
        protocol.refuse(503, CROWDED, linger=False)

    def remove(self, protocol: LimitedProtocol) -> None:
        """Forget a connection that is closed."""
        self._open.pop(protocol, None)

    def count(self, why: str) -> None:
        """Count a connection that is closed for a reason."""
        self._closed[why] += 1

    def sweep(self) -> None:
        """Close those that have waited too long; called about once a second."""
        now = time.monotonic()
        for protocol in [*self._open]:
            protocol.check(now)

    def give_away(self, give: Callable[[int], None]) -> None:
        """From now on give each connection to another process, as soon as its caller waits for no answer.

        What its caller sends next stays with the system until that process reads it.

        Parameters
        ----------
        give
            Passes a socket's file descriptor on; it keeps none. An `OSError` leaves the connection here until
            the next call of `give_idle`.

        """
        self._give = give
        self.give_idle()

    @property
    def gives(self) -> bool:
        """Whether connections are given away."""
        return self._give is not None

    def give_idle(self) -> bool:
        """Give those away that are idle; return whether none is left."""
        for protocol in [*self._open]:
            self.give_if_idle(protocol)
        return not self._open

    def keep(self) -> None:
        """Give no more away."""
        self._give = None

    def give_if_idle(self, protocol: LimitedProtocol) -> None:
        """Give one away if it is idle."""
        if self._give and protocol.rest():
            with suppress(OSError):  # too many are on their way
                self._give(protocol.transport.get_extra_info("socket").fileno())
                protocol.transport.abort()  # here: the other process has the connection
                self._open.pop(protocol, None)

    def readings(self) -> Iterator[Reading]:
        """How many connections are open and may be, and how many were closed by a limit."""
        yield Reading("connections", "Open connections", {}, len(self._open), "sum")
        yield Reading("connections_limit", "Open connections that are allowed", {}, self.most, "sum")
        for why, number in self._closed.items():
            about = "Connections that a limit has closed"
            yield Reading("connections_closed_total", about, {"why": why}, number, "sum")


class OrderedFlow(FlowControl):
    """Reads no further request while one that has arrived waits for those before it."""

    protocol: LimitedProtocol

    def resume_reading(self) -> None:
        """Read on, unless a request waits."""
        if not self.protocol.pipeline:
            super().resume_reading()


class LimitedProtocol(HttpToolsProtocol):
    """One connection.

    Parameters
    ----------
    connections
        All of them.
    arguments, options
        uvicorn's own.

    Attributes
    ----------
    only_open
        Whether it may only ask whether the service is alive or ready.

    """

    def __init__(self, connections: Connections, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.only_open = False
        self._connections = connections
        self._since: float | None = None  # when it began to wait for a request, or for the rest of one
        self._stuck: float | None = None  # since when its caller does not take an answer
        self._part: Literal["head", "body"] | None = None  # of a request, that is arriving
        self._refused = False
        self._framing = b""  # the headers of a body that the parser has not seen
        self._again = False  # whether a second parser is shown them
        self._extra = 0  # bytes of this request that are not its body
        self._body = 0

    @property
    def waits(self) -> bool:
        """Whether it waits for its caller, and not its caller for an answer."""
        return self._since is not None or self._stuck is not None

    def connection_made(self, transport: Any) -> None:  # uvicorn's own
        """Begin to wait for a request."""
        super().connection_made(transport)
        self.flow = OrderedFlow(transport)
        self.flow.protocol = self
        self._since = time.monotonic()
        self._connections.add(self)
        self._connections.give_if_idle(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self._connections.remove(self)

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived, and count it."""
        self._extra += len(data)
        if self._refused:
            if self._extra > MAX_DROPPED:
                self.transport.abort()
            return
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.refuse(400, "this is not HTTP/1.1")
        if self._extra > MAX_HEAD + MAX_FRAMING * self._body:
            self._too_large()

    def _parse(self, data: bytes) -> None:
        """Parse, and pass over requests for another protocol: a server need not follow them.

        Java's client asks for HTTP/2 so. The parser takes what follows for that protocol, even the body, so a
        new one goes on after the headers: it is shown what they say of the body.
        """
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
            else:
                return
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            if framing := self._framing:
                self._again = True
                self.parser.feed_data(b"POST / HTTP/1.1\r\n%s\r\n" % framing)
                self._again, self._framing = False, b""

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self._again:
            return
        super().on_message_begin()
        self._part = "head"
        if self.cycle is None or self.cycle.response_complete:
            self._since = time.monotonic()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the path."""
        if not self._again:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        if self._again:
            return
        name = name.lower()  # here and not in uvicorn's own: there are many of them
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Start to answer."""
        if self._refused or self._again:
            return
        if self.parser.should_upgrade():
            self._framing = b"".join(
                b"%s: %s\r\n" % header for header in self.headers if header[0] in FRAMING
            )
        if self._extra > MAX_HEAD:  # which may include the body, or a request after it
            size = len(self.url) + sum(len(name) + len(value) + AROUND for name, value in self.headers)
            if size > MAX_HEAD:
                self._too_large()
                return
        if self.only_open and self.url not in OPEN_URLS:
            self._connections.count(FULL)
            self.refuse(503, CROWDED)
            return
        if len(self.pipeline) >= MAX_PIPELINE:
            self._connections.count(PIPELINE)
            self.refuse(503, "too many requests at once on one connection")
            return
        super().on_headers_complete()
        self._part = "body"

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        if self._refused:
            return
        self._body += len(body)
        self._extra = max(self._extra - len(body), 0)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request has arrived: now its caller waits."""
        if self._refused or (self._framing and not self._again):
            return
        super().on_message_complete()
        self._part = None
        self._extra = self._body = 0
        # If nobody needed the body, the answer has been sent before, and the next request is due.
        self._since = time.monotonic() if self.cycle.response_complete else None

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of the one that has begun to arrive."""
        super().on_response_complete()
        if self._since is None and (self._part or self.cycle.response_complete):
            self._since = time.monotonic()
        if self._connections.gives:
            self._connections.give_if_idle(self)  # it reads no more
            self.loop.call_soon(self._connections.give_if_idle, self)  # by then the answer is sent

    def rest(self) -> bool:
        """Whether nothing of a request has arrived, and all answers are sent; it reads nothing then."""
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering or self._part or self.pipeline or self._refused or self.transport.is_closing():
            return False
        self._unset_keepalive_if_required()
        self.flow.pause_reading()
        return not self.transport.get_write_buffer_size()

    def pause_writing(self) -> None:
        """The caller does not take its answers."""
        super().pause_writing()
        self._stuck = time.monotonic()

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        self._stuck = None

    def check(self, now: float) -> None:
        """Close the connection if its caller takes too long."""
        limit = LINGER if self._refused else self._connections.seconds
        if not any(began is not None and now - began > limit for began in (self._since, self._stuck)):
            return
        if self._refused:
            self.transport.abort()
            return
        self._connections.count(TIMEOUT)
        self.refuse(408, f"a request has to arrive within {self._connections.seconds:g} s")

    def refuse(self, status: int, why: str, *, linger: bool = True) -> None:
        """Answer with an error if an answer is due, and close. What still arrives is dropped.

        Parameters
        ----------
        status
            The HTTP status.
        why
            The line of the answer.
        linger
            Whether to wait until the caller has closed its side: otherwise the answer may be lost, because it
            has sent what nobody reads any more.

        """
        if self._refused:
            return
        self._refused, self._since = True, time.monotonic()
        self._unset_keepalive_if_required()
        running = self.cycle is not None and not self.cycle.response_complete
        due = self._is_due(running=running)
        if running:  # a route that waits for the rest of the body ends
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not due or self.transport.get_write_buffer_size() or self.transport.is_closing():
            self.transport.abort()
            return
        body = to_json({"detail": why})
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + head % len(body) + body)
        if linger and self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def _is_due(self, *, running: bool) -> bool:
        """Whether the next thing that the caller has to read is the answer to what it is sending."""
        if self._part == "body":
            return not self.pipeline and not self.cycle.response_started
        return not running and (self._part == "head" or self.cycle is None)

    def _too_large(self) -> None:
        if not self._refused:
            self._connections.count(TOO_LARGE)
            self.refuse(431, f"the limit is {MAX_HEAD} bytes for the headers of a request")
