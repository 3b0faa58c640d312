"""Large bodies are read in slices, and the result is that of reading them at once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pydantic import ValidationError

from perenne.serving.rows import PredictAdapter, example
from perenne.serving.slices import checked, pieces
from tests import tiny

MOST = 40  # rows
SIZE = 200  # bytes of a slice
EXAMPLE = example(tiny.contract())


def adapter() -> PredictAdapter:
    """Return the validator of the tiny contract."""
    return PredictAdapter(tiny.contract(), MOST)


def body(rows: list[Any], **dumps: Any) -> bytes:
    """Return a request."""
    return json.dumps({"rows": rows}, **dumps).encode()


def at_once(of: bytes) -> list[Any] | str:
    """Return the rows of a body, or what is wrong with it."""
    try:
        return adapter().validate_json(of)["rows"]
    except ValidationError as error:
        return repr(error.errors(include_url=False))


def in_slices(of: bytes) -> list[Any] | str:
    """Return the same, read in slices of some rows."""

    async def read() -> list[Any]:
        return await checked(of, adapter(), asyncio.Lock(), SIZE)

    try:
        return asyncio.run(read())
    except ValidationError as error:
        return repr(error.errors(include_url=False))


def rows(count: int, **changed: Any) -> list[Any]:
    """Return rows that differ in size; a change is that of the one before the last."""
    made = [{**EXAMPLE, "size": number / 8, "colour": "red"} for number in range(count)]
    if changed:
        made[-2] |= changed
    return made


GOOD = {
    "compact": body(rows(MOST), separators=(",", ":")),
    "spaces": body(rows(MOST), separators=(" ,\n\t", " : ")),
    "indented": body(rows(MOST), indent=2),
    "blank around": b"\r\n " + body(rows(MOST)) + b" \n",
    "a cut in a text": body(rows(MOST, colour="}, {")),
    "a bracket in a text": body(rows(MOST, colour="]}")),
    "other spelling": body(rows(MOST, colour=" rot \u00e9")),
    "whole number as a float": body(rows(MOST, size=2.0)),
    "a key twice": body(rows(MOST)).replace(b'"size": 2.0', b'"size": 1, "size": 3.0'),
    "rows twice": body(rows(9))[:-1] + b', "rows": [' + body(rows(8)).split(b"[")[1],
}
BAD = {
    "too many rows": body(rows(MOST + 1)),
    "far too many rows": body(rows(20 * MOST)),
    "no row": b'{"rows": [' + b" " * 300 + b"]}",
    "a wrong value": body(rows(MOST, size="x")),
    "a wrong key": body(rows(MOST, sise=1)),
    "no object": body([*rows(MOST - 1), 3]),
    "a list of lists": body([rows(9), rows(9)]),
    "cut off": body(rows(MOST))[:-2],
    "cut off in a row": body(rows(MOST))[:-20] + b"]}",
    "more after it": body(rows(MOST)) + b"}",
    "an open text": body(rows(MOST)).replace(b'"red"', b'"red', 1),
    "a comma too many": body(rows(MOST))[:-2] + b",]}",
    "another key": body(rows(MOST))[:-1] + b', "x": 1}',
    "another list": b'{"x": [' + b"1," * 300 + b"1]}",
    "not a number": body(rows(MOST, size=float("nan"))),
    "no UTF-8": body(rows(MOST)).replace(b"red", b"r\xffd", 1),
    "two lists": body(rows(MOST))[:-2] + b"], [" + b'{"size": 1}]}',
}


@pytest.mark.parametrize("what", GOOD)
def test_same_rows(what: str) -> None:
    """To the type, wherever the slices begin."""
    expected = at_once(GOOD[what])
    assert isinstance(expected, list)
    found = in_slices(GOOD[what])
    assert found == expected
    assert repr(found) == repr(expected)


@pytest.mark.parametrize("what", BAD)
def test_same_errors(what: str) -> None:
    """Row, field, value and message."""
    expected = at_once(BAD[what])
    assert isinstance(expected, str)
    assert in_slices(BAD[what]) == expected


def test_slices_are_rows() -> None:
    """Otherwise every large body would be read at once in the end."""
    cut = [*pieces(body(rows(MOST)), SIZE)]
    assert len(cut) > 10
    assert [row for piece in cut for row in json.loads(b"[%b]" % piece)] == rows(MOST)


def test_others_go_on_between_slices() -> None:
    """While a body is read, the event loop runs at least once for each slice."""
    turns = 0

    async def read() -> None:
        nonlocal turns
        reading = asyncio.create_task(checked(body(rows(MOST)), adapter(), asyncio.Lock(), SIZE))
        while not reading.done():
            turns += 1
            await asyncio.sleep(0)

    asyncio.run(read())
    assert turns >= len([*pieces(body(rows(MOST)), SIZE)])
