"""Requests that fail: a text that says what is wrong, and the HTTP status for it."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Iterable

from fastapi import Request, Response
from pydantic import ValidationError
from pydantic_core import ErrorDetails, to_json
from starlette.requests import ClientDisconnect

from perenne.common.errors import hint
from perenne.common.typed import EXPECTED
from perenne.serving.answers import FieldProblem, Problems
from perenne.serving.rows import MAX_ERRORS

JSON = "application/json"
GZIP, IDENTITY = "gzip", "identity"
GZIP_BITS = 16 + zlib.MAX_WBITS  # zlib's way to say: with gzip's header
CHARSET = re.compile(r'charset\s*=\s*"?([^\s";]*)')
UTF8 = ("utf-8", "utf8", "us-ascii")
BOM = b"\xef\xbb\xbf"  # which some editors put before UTF-8
MAX_PROBLEMS = 20  # listed in one response
MAX_SHOWN = 60  # characters of a value


class RequestError(Exception):
    """A request that fails before its rows are looked at."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def detail(status: int, message: str, *, bearer: bool = False) -> Response:
    """A response of one line; `bearer` adds the header that asks for a token."""
    headers = {"www-authenticate": "Bearer"} if bearer else None
    return Response(to_json({"detail": message}), status, headers, JSON)


async def body(request: Request, max_bytes: int) -> bytes:
    """Read the body of a request, and stop at `max_bytes`.

    The content type must be JSON: a web page in a browser may send other types to this machine without the
    user's consent.

    Parameters
    ----------
    request
        The request.
    max_bytes
        The limit of the body, in bytes, as it is sent and once it is unpacked.

    Raises
    ------
    RequestError
        415 for another content type or encoding, 413 for a body that is too large, 400 if the connection
        breaks or the body is not what its encoding says.

    """
    encoding = _encoding(request)
    content = await _received(request, max_bytes)
    if encoding == GZIP:
        content = await asyncio.to_thread(_unpacked, content, max_bytes)  # zlib lets the others go on
    return content.removeprefix(BOM)


def _encoding(request: Request) -> str:
    kind, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    if kind.strip() != JSON:
        raise RequestError(415, f"the content type must be {JSON}")
    charset = CHARSET.search(parameters)
    if charset and charset[1] not in UTF8:
        raise RequestError(415, f"the charset must be utf-8, found {_short(charset[1])}")
    encoding = request.headers.get("content-encoding", IDENTITY).strip().lower()
    if encoding not in (IDENTITY, GZIP):
        raise RequestError(415, f"the content encoding must be {GZIP} or none, found {_short(encoding)}")
    return encoding


async def _received(request: Request, max_bytes: int) -> bytes:
    parts, size = [], 0
    if int(request.headers.get("content-length", "0")) <= max_bytes:
        try:
            async for part in request.stream():
                size += len(part)
                parts.append(part)
                if size > max_bytes:
                    break
            else:
                return b"".join(parts)
        except ClientDisconnect as error:
            raise RequestError(400, "the connection closed before the whole request arrived") from error
    raise _too_large(max_bytes)


def _unpacked(packed: bytes, max_bytes: int) -> bytes:
    """What a gzip holds, but never more than the limit: a small one may hold gigabytes."""
    content = b""
    try:
        while packed:
            member = zlib.decompressobj(wbits=GZIP_BITS)
            content += member.decompress(packed, max_bytes + 1 - len(content))
            if len(content) > max_bytes:
                raise _too_large(max_bytes)
            if not member.eof:
                raise RequestError(400, "the gzip is cut off")
            packed = member.unused_data
    except zlib.error as error:
        raise RequestError(400, f"not valid gzip: {error}") from error
    return content


def _too_large(max_bytes: int) -> RequestError:
    return RequestError(413, f"the limit is {max_bytes} bytes per request; send the rows in several requests")


def problems(error: ValidationError, key: str, columns: Iterable[str]) -> Response:
    """The response to a request that does not match the contract.

    Parameters
    ----------
    error
        What the validator of the body has raised.
    key
        The only key of the body, under which the list is.
    columns
        The valid names of fields, for hints.

    Returns
    -------
    Response
        400 if the body is not JSON, 413 if the list is too long, else 422 with at most `MAX_PROBLEMS`
        problems.

    """
    if error.error_count() > MAX_ERRORS:
        line = f"{error.error_count()} problems; send a single row to see its own. {hint('', columns)}"
        return Response(to_json(Problems(detail=line, errors=[])), 422, media_type=JSON)
    errors = error.errors(include_url=False)
    first = errors[0]
    if first["type"] == "json_invalid":
        return detail(400, f"not valid JSON: {first['ctx']['error']}")
    if first["type"] == "too_long" and len(first["loc"]) == 1:
        limit = first["ctx"]["max_length"]
        return detail(413, f"the limit is {limit} {first['loc'][0]} per request; send several requests")
    if any(one["type"] == "missing" and one["loc"] == (key,) for one in errors) or not first["loc"]:
        line = (
            f'the body must be {{"{key}": [...]}}, an object with this key alone and a list of objects in it'
        )
        answer = Problems(detail=line, errors=[FieldProblem(row=None, field=key, problem="missing")])
        return Response(to_json(answer), 422, media_type=JSON)
    listed = [_problem(one, columns if len(one["loc"]) > 1 else [key]) for one in errors[:MAX_PROBLEMS]]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    answer = Problems(detail=_line(listed[0]) + more, errors=listed)
    return Response(to_json(answer), 422, media_type=JSON)


def _line(problem: FieldProblem) -> str:
    places = {"row": problem.row, "field": problem.field}
    place = ", ".join(f"{name} {value}" for name, value in places.items() if value is not None)
    return f"{place}: {problem.problem}" if place else problem.problem


def _problem(error: ErrorDetails, columns: Iterable[str]) -> FieldProblem:
    """The place and the reason. At the top of the body there is no row, and its key is the field."""
    loc = error["loc"]
    _, row, field, *within = (*loc, None, None, None) if len(loc) > 1 else (None, None, *loc, None)
    if isinstance(field, str) and isinstance(within[0], int):  # of an earlier row that came with the row
        field = ".".join(map(str, [field, within[0], *within[1:2]] if within[1] else [field, within[0]]))
    return FieldProblem(
        row=row if isinstance(row, int) else None,
        field=_short(field) if isinstance(field, str) else None,
        problem=_message(error, columns),
    )


def _message(error: ErrorDetails, columns: Iterable[str]) -> str:
    kind = error["type"]
    if kind == "missing":
        return "missing"
    if kind == "extra_forbidden":
        what = "column" if len(error["loc"]) > 1 else "key"
        # The nearest name to a very long one takes seconds to find, and there is none.
        return f"no such {what}; {hint(_short(str(error['loc'][-1])), columns)}"
    reason = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    needed = f"must be {EXPECTED[kind]}" if kind in EXPECTED else reason[0].lower() + reason[1:]
    return f"found {_short(repr(error['input']))}, {needed}"


def _short(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."
