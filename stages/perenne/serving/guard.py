"""The outermost layer of the service: checks the token, measures the time, hides internals in errors."""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from fastapi import Request, Response
from pydantic_core import to_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perenne.serving.prometheus import ServiceMetrics

Route = Callable[[Request], Awaitable[Response]]

OPEN = ("/healthz", "/readyz")  # for supervisors and load balancers; without the token, only yes or no
BEARER = b"bearer "

logger = logging.getLogger("perenne.serve")


class Guard:
    """Wraps the application.

    The most frequent request goes directly to its route: FastAPI's general steps before a route take longer
    than the model and the log together.

    Parameters
    ----------
    app
        The application.
    direct
        Routes that are called without FastAPI, by method and path.
    metrics
        Count every request.
    token_sha256
        The sha256 of the token that requests need; None if they need none.
    paths
        Paths that are counted by name; all others are counted as `other`.

    """

    def __init__(
        self,
        app: ASGIApp,
        direct: Mapping[tuple[str, str], Route],
        metrics: ServiceMetrics,
        token_sha256: str | None,
        paths: set[str],
    ) -> None:
        self._app = app
        self._direct = direct
        self._metrics = metrics
        self._token = token_sha256
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = 0

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if self._token and scope["path"] not in OPEN and not authorized(scope, self._token):
                await refuse(sent, 401, "a token is required: Authorization: Bearer TOKEN")
            elif route := self._direct.get((scope["method"], scope["path"])):
                response = await route(Request(scope, receive))
                await response(scope, receive, sent)
            else:
                await self._app(scope, receive, sent)
        except Exception as error:  # noqa: BLE001 -- its message may contain a caller's data: not logged
            logger.error("%s %s: %s", scope["method"], self._path(scope), raised_at(error))  # noqa: TRY400
            if not status:
                await refuse(sent, 500, "internal error; the service's own log has the place")
        finally:
            self._metrics.answered(self._path(scope), status, time.perf_counter() - start)

    def _path(self, scope: Scope) -> str:
        return scope["path"] if scope["path"] in self._paths else "other"


def authorized(scope: Scope, sha256: str) -> bool:
    """Whether a request carries the token; the check takes the same time for any wrong token.

    Parameters
    ----------
    scope
        The request, as ASGI has it.
    sha256
        That of the right token, in lower-case hexadecimal digits.

    """
    given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    token = given[len(BEARER) :] if given[: len(BEARER)].lower() == BEARER else b""
    return hmac.compare_digest(hashlib.sha256(token).hexdigest(), sha256)


def raised_at(error: BaseException) -> str:
    """The type of an error and the line that raised it, without its message.

    >>> try:
    ...     {}["a salary"]
    ... except KeyError as error:
    ...     raised_at(error).partition(" at ")[0]
    'KeyError'
    """
    at = error.__traceback__
    while at and at.tb_next:
        at = at.tb_next
    place = f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}" if at else "an unknown line"
    return f"{type(error).__name__} at {place}"


async def refuse(send: Send, status: int, detail: str) -> None:
    """Send a response with a status and one line.

    Parameters
    ----------
    send
        ASGI's function to send a message.
    status
        The HTTP status; 401 adds the header that asks for a token.
    detail
        The line.

    """
    body = to_json({"detail": detail})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
