"""What stands before every request: who may ask, how long it took, and no trace of the inside in answers."""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from pydantic_core import to_json

from perenne.serving.metrics import Metrics

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Route = Callable[[Request], Awaitable[Response]]

OPEN = ("/healthz", "/readyz")  # for whoever restarts and routes; without the token they say yes or no
BEARER = b"bearer "

log = logging.getLogger("perenne.serve")


class Guard:
    """Wraps the application.

    What is asked for most goes straight to its route: FastAPI's steps on the way, good for any, take longer
    than the model and the log together.
    """

    def __init__(
        self,
        app: App,
        straight: Mapping[tuple[str, str], Route],
        metrics: Metrics,
        token_sha256: str | None,
        paths: set[str],
    ) -> None:
        """`straight`: by method and path. `paths`: those counted by name; any other is counted as one."""
        self._app = app
        self._straight = straight
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
            if self._token and scope["path"] not in OPEN and not known(scope, self._token):
                await refuse(sent, 401, "a token is needed: Authorization: Bearer TOKEN")
            elif route := self._straight.get((scope["method"], scope["path"])):
                response = await route(Request(scope, receive))
                await response(scope, receive, sent)
            else:
                await self._app(scope, receive, sent)
        except Exception as error:  # noqa: BLE001 -- the message may hold what a caller sent: it is not logged
            log.error("%s %s: %s", scope["method"], self._path(scope), where(error))  # noqa: TRY400
            if not status:
                await refuse(sent, 500, "something went wrong here; the log of the service says where")
        finally:
            self._metrics.answered(self._path(scope), status, time.perf_counter() - start)

    def _path(self, scope: Scope) -> str:
        return scope["path"] if scope["path"] in self._paths else "other"


def known(scope: Scope, sha256: str) -> bool:
    """Whether a request carries the token, found out in the same time whatever it carries."""
    given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    token = given[len(BEARER) :] if given[: len(BEARER)].lower() == BEARER else b""
    return hmac.compare_digest(hashlib.sha256(token).hexdigest(), sha256)


def where(error: BaseException) -> str:
    """The type of an error and the line that it comes from; not its message.

    >>> try:
    ...     {}["a salary"]
    ... except KeyError as error:
    ...     where(error).partition(" at ")[0]
    'KeyError'
    """
    at = error.__traceback__
    while at and at.tb_next:
        at = at.tb_next
    place = f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}" if at else "an unknown line"
    return f"{type(error).__name__} at {place}"


async def refuse(send: Send, status: int, detail: str) -> None:
    """Answer with a status and one line."""
    body = to_json({"detail": detail})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
