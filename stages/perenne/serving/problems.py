"""Requests that fail: a text that says what is wrong, and the HTTP status for it."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import Request, Response
from pydantic import ValidationError
from pydantic_core import ErrorDetails, to_json
from starlette.requests import ClientDisconnect

from perenne.common.errors import hint
from perenne.common.typed import EXPECTED
from perenne.serving.answers import FieldProblem, Problems

JSON = "application/json"
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
        The limit of the body, in bytes.

    Raises
    ------
    RequestError
        415 for another content type, 413 for a body that is too large, 400 if the connection breaks.

    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise RequestError(415, f"the content type must be {JSON}")
    announced = request.headers.get("content-length", "0")
    parts, size = [], 0
    if int(announced) <= max_bytes:
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
    raise RequestError(413, f"the limit is {max_bytes} bytes per request; send the rows in several requests")


def problems(error: ValidationError, columns: Iterable[str]) -> Response:
    """The response to a request that does not match the contract.

    Parameters
    ----------
    error
        What the validator of the body has raised.
    columns
        The valid names of fields, for hints.

    Returns
    -------
    Response
        400 if the body is not JSON, 413 if the list is too long, else 422 with at most `MAX_PROBLEMS`
        problems.

    """
    errors = error.errors(include_url=False)
    first = errors[0]
    if first["type"] == "json_invalid":
        return detail(400, f"not valid JSON: {first['ctx']['error']}")
    if first["type"] == "too_long" and len(first["loc"]) == 1:
        limit = first["ctx"]["max_length"]
        return detail(413, f"the limit is {limit} {first['loc'][0]} per request; send several requests")
    listed = [_problem(one, columns) for one in errors[:MAX_PROBLEMS]]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    answer = Problems(detail=_line(listed[0]) + more, errors=listed)
    return Response(to_json(answer), 422, media_type=JSON)


def _line(problem: FieldProblem) -> str:
    places = {"row": problem.row, "field": problem.field}
    place = ", ".join(f"{name} {value}" for name, value in places.items() if value is not None)
    return f"{place}: {problem.problem}" if place else problem.problem


def _problem(error: ErrorDetails, columns: Iterable[str]) -> FieldProblem:
    _, row, field, *_ = (*error["loc"], None, None, None)
    return FieldProblem.model_construct(row=row, field=field, problem=_message(error, columns))


def _message(error: ErrorDetails, columns: Iterable[str]) -> str:
    kind = error["type"]
    if kind == "missing":
        return "missing"
    if kind == "extra_forbidden":
        return f"no such column; {hint(error['loc'][-1], columns)}"
    reason = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    needed = f"must be {EXPECTED[kind]}" if kind in EXPECTED else reason[0].lower() + reason[1:]
    value = repr(error["input"])
    return f"found {value if len(value) <= MAX_SHOWN else value[:MAX_SHOWN] + '...'}, {needed}"
