"""The outermost layer of the service: checks the token, measures the time, hides internals in errors."""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import Request, Response
from pydantic_core import to_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perenne.serving.prometheus import ServiceMetrics
from perenne.serving.settings import TokenRole, is_loopback

Allowed = Mapping[str, frozenset[TokenRole]]
Route = Callable[[Request], Awaitable[Response]]

OPEN = ("/healthz", "/readyz")  # for supervisors and load balancers; without the token, only yes or no
READS = ("GET", "HEAD", "OPTIONS")  # methods that change nothing
BEARER = b"bearer "
NO_ROLE: frozenset[TokenRole] = frozenset()
INTERNAL = "internal error; the service's own log has the place"

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
    allowed
        The roles of each token by its sha256; empty if requests need none.
    needed
        The role that a path needs, where it is not enough to have any.
    paths
        The application's. They are counted by name, all others as `other`, and only they take more than
        `READS`.
    documented
        Those that are also answered with a slash at the end.

    """

    def __init__(
        self,
        app: ASGIApp,
        direct: Mapping[tuple[str, str], Route],
        metrics: ServiceMetrics,
        *,
        allowed: Allowed,
        needed: Mapping[str, TokenRole],
        paths: set[str],
        documented: set[str],
    ) -> None:
        self._app = app
        self._direct = direct
        self._metrics = metrics
        self._allowed = allowed
        self._needed = needed
        self._paths = paths
        self._slashed = {f"{path}/": path for path in documented}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = 0
        if scope["path"] in self._slashed:  # a redirect would name the scheme and host that a proxy hides
            scope["path"] = self._slashed[scope["path"]]
        if scope["method"] == "HEAD":  # uvicorn keeps its own, and sends no body
            scope = {**scope, "method": "GET"}

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if refusal := self.refusal(scope):
                await refuse(sent, *refusal)
            elif route := self._direct.get((scope["method"], scope["path"])):
                response = await route(Request(scope, receive))
                await response(scope, receive, sent)
            else:
                await self._app(scope, receive, sent)
        except Exception as error:  # noqa: BLE001 -- its message may contain a caller's data: not logged
            logger.error("%s %s: %s", scope["method"], self._path(scope), raised_at(error))  # noqa: TRY400
            if not status:
                await refuse(sent, 500, INTERNAL)
        finally:
            self._metrics.answered(self._path(scope), status, time.perf_counter() - start)

    def refusal(self, scope: Scope) -> tuple[int, str] | None:
        """The status and the line for a request that must not reach the application."""
        path = scope["path"]
        if self._allowed and path not in OPEN:
            roles = roles_of(scope, self._allowed)
            if not roles:
                return 401, "a token is required: Authorization: Bearer TOKEN"
            needed = self._needed.get(path)
            if needed and needed not in roles:
                return 403, f"this token is for {', '.join(sorted(roles))}; {path} needs one for {needed}"
        if not self._allowed and scope["method"] not in READS and not from_this_machine(scope):
            return 403, "without a token, only a page of this machine may send this; see serve.token_sha256"
        # The application may know a path by other spellings, such as one with a line feed at its end. What
        # needs a role is only known by one.
        if not path.isprintable() or (path not in self._paths and scope["method"] not in READS):
            return 404, "there is no such path"
        return None

    def _path(self, scope: Scope) -> str:
        return scope["path"] if scope["path"] in self._paths else "other"


def roles_of(scope: Scope, allowed: Allowed) -> frozenset[TokenRole]:
    """The roles of the token of a request, empty without one that is known.

    Parameters
    ----------
    scope
        The request, as ASGI has it.
    allowed
        The roles of each token by its sha256, in lower-case hexadecimal digits. The check takes the same time
        for any wrong token.

    """
    given = b""
    for name, value in scope["headers"]:
        if name == b"authorization":
            given = value
            break
    token = given[len(BEARER) :] if given[: len(BEARER)].lower() == BEARER else b""
    if not token:
        return NO_ROLE
    sha256, found = hashlib.sha256(token).hexdigest(), NO_ROLE
    for known, roles in allowed.items():
        if hmac.compare_digest(sha256, known):
            found = roles  # go on: whoever measures the time learns nothing
    return found


def from_this_machine(scope: Scope) -> bool:
    """Whether a request is not from a browser that shows a page of another host.

    A browser names the page's host even if that host's name has come to mean this machine.

    Parameters
    ----------
    scope
        The request, as ASGI has it.

    """
    origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
    return all(is_loopback(_host(origin)) for origin in origins)


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:  # not a URL
        return ""


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
