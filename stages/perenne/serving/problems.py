"""What is wrong with a request: in words, and with the status that HTTP has for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import Request, Response
from pydantic import ValidationError
from pydantic_core import ErrorDetails, to_json
from starlette.requests import ClientDisconnect

from perenne.common.errors import hint
from perenne.common.typed import EXPECTED

JSON = "application/json"
MOST = 20  # problems told at once
SHOWN = 60  # characters of a value


class Refused(Exception):  # noqa: N818 -- an answer
    """A request that is not answered otherwise."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def detail(status: int, told: str, *, bearer: bool = False) -> Response:
    """An answer of one line; `bearer` says how to show who one is."""
    headers = {"www-authenticate": "Bearer"} if bearer else None
    return Response(to_json({"detail": told}), status, headers, JSON)


async def body(request: Request, most: int) -> bytes:
    """The body of a request; it is not read on beyond the bytes that it may have.

    Only JSON that says so: a page in a browser could send other types to this machine, unasked.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise Refused(415, f"the content type must be {JSON}")
    told = request.headers.get("content-length", "0")
    parts, size = [], 0
    if int(told) <= most:
        try:
            async for part in request.stream():
                size += len(part)
                parts.append(part)
                if size > most:
                    break
            else:
                return b"".join(parts)
        except ClientDisconnect as error:
            raise Refused(400, "the rest of the request never came") from error
    raise Refused(413, f"a request may have {most} bytes; send the rows in several")


def problems(error: ValidationError, columns: Iterable[str]) -> Response:
    """The answer to a request that is not of the contract."""
    found = error.errors(include_url=False)
    first = found[0]
    if first["type"] == "json_invalid":
        return detail(400, f"not JSON: {first['ctx']['error']}")
    if first["type"] == "too_long" and len(first["loc"]) == 1:
        limit = first["ctx"]["max_length"]
        return detail(413, f"a request may have {limit} {first['loc'][0]}; send several requests")
    wrong = [_problem(e, columns) for e in found[:MOST]]
    place = ", ".join(f"{k} {wrong[0][k]}" for k in ("row", "field") if wrong[0][k] is not None)
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    told = f"{place}: {wrong[0]['problem']}" if place else wrong[0]["problem"]
    return Response(to_json({"detail": told + more, "errors": wrong}), 422, media_type=JSON)


def _problem(error: ErrorDetails, columns: Iterable[str]) -> dict[str, Any]:
    _, row, field, *_ = (*error["loc"], None, None, None)
    return {"row": row, "field": field, "problem": _told(error, columns)}


def _told(error: ErrorDetails, columns: Iterable[str]) -> str:
    kind = error["type"]
    if kind == "missing":
        return "missing"
    if kind == "extra_forbidden":
        return f"no such column; {hint(error['loc'][-1], columns)}"
    said = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    needed = f"must be {EXPECTED[kind]}" if kind in EXPECTED else said[0].lower() + said[1:]
    found = repr(error["input"])
    return f"found {found if len(found) <= SHOWN else found[:SHOWN] + '...'}, {needed}"
