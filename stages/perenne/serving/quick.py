"""Answer the most frequent request without ASGI: a few rows in a small body of plain JSON.

For such a request the task, the messages and the objects of ASGI take longer than the model and the log. All
else goes the usual way, also what turns out to be wrong: so there is one place that says what is wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fastapi import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from perenne.serving.connections import LimitedProtocol
from perenne.serving.predictions import PredictResult
from perenne.serving.problems import JSON
from perenne.serving.prometheus import ServiceMetrics
from perenne.serving.rows import InputRow, PredictAdapter
from perenne.serving.slices import SMALL, SMALL_BODY

POST = "POST"
PLAIN = JSON.encode()
# A request with one of them is not plain: its body is packed, it waits for a word, or a page has sent it.
UNUSUAL = {b"content-encoding", b"transfer-encoding", b"expect", b"origin"}

Headers = Sequence[tuple[bytes, bytes]]
Scope = Any  # ASGI's, a dictionary of anything


class QuickRoute(NamedTuple):
    """The route of predictions for `QuickProtocol`.

    `refused` says whether a request must not reach the application; `predict` takes rows, and calls back with
    their predictions or an error; `body` makes the body of an answer, and `failure` the response to an error.
    """

    path: str
    max_body: int
    adapter: PredictAdapter
    refused: Callable[[Scope], object]
    predict: Callable[[Sequence[InputRow], Callable[[PredictResult | Exception], None]], None]
    body: Callable[[PredictResult], bytes]
    failure: Callable[[Exception], Response]
    metrics: ServiceMetrics

    def takes(self, scope: Scope) -> bool:
        """Whether a request is a small one in plain JSON, and is allowed."""
        if scope["path"] != self.path or scope["method"] != POST:
            return False
        length = kind = b""
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = value
            elif name == b"content-type":
                if kind:
                    return False
                kind = value
            elif name in UNUSUAL:
                return False
        small = length.isdigit() and int(length) <= min(SMALL_BODY, self.max_body)
        return small and kind == PLAIN and not self.refused(scope)


class QuickProtocol(LimitedProtocol):
    """One connection.

    Parameters
    ----------
    route
        Answered without ASGI.
    arguments, options
        As for `LimitedProtocol`.

    """

    def __init__(self, route: QuickRoute, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._route = route
        self._begins = False  # a request that waits for no other one
        self._quick: RequestResponseCycle | None = None  # that has not arrived yet
        self._start = 0.0

    def on_headers_complete(self) -> None:
        """Start to answer."""
        self._begins = True
        super().on_headers_complete()
        self._begins = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # uvicorn's own
        """Wait for the body, and then answer without a task; or begin at once, the usual way."""
        if self._begins and not self.flow.write_paused and self._route.takes(cycle.scope):
            self._quick, self._start = cycle, time.perf_counter()
        else:
            super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        """The request has arrived."""
        super().on_message_complete()
        cycle = self._quick
        if cycle is None or cycle.more_body:
            return
        self._quick = None
        if cycle.disconnected:
            return
        try:
            rows = self._route.adapter.validate_json(bytes(cycle.body))["rows"]
            if len(rows) <= SMALL:
                self._route.predict(rows, lambda outcome: self._answer(cycle, outcome))
                return
        except Exception:  # noqa: BLE001, S110 -- the usual way finds it again, and says what is wrong
            pass
        super()._start_asgi_task(cycle, self.app)

    def _answer(self, cycle: RequestResponseCycle, outcome: PredictResult | Exception) -> None:
        route = self._route
        response: Response | None = None
        if isinstance(outcome, PredictResult):
            try:
                body = route.body(outcome)
            except Exception as error:  # noqa: BLE001 -- the other requests of its batch must be answered
                response = route.failure(error)
        else:
            response = route.failure(outcome)
        if response is None:
            self._send(cycle, 200, ((b"content-length", b"%d" % len(body)), (b"content-type", PLAIN)), body)
        else:
            self._send(cycle, response.status_code, response.raw_headers, bytes(response.body))
        status = 200 if response is None else response.status_code
        route.metrics.answered(route.path, status, time.perf_counter() - self._start)

    def _send(self, cycle: RequestResponseCycle, status: int, headers: Headers, body: bytes) -> None:
        """Send a response at once, as uvicorn writes it."""
        if cycle.disconnected or self.transport.is_closing():
            return
        lines = [STATUS_LINE[status]]
        for name, value in (*cycle.default_headers, *headers):
            lines += (name, b": ", value, b"\r\n")
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        self.transport.write(b"".join((*lines, b"\r\n", body)))
        cycle.response_started = cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        cycle.on_response = _nothing  # it would keep this connection


def _nothing() -> None:
    """Nobody waits for it any more."""
