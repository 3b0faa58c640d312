"""Large requests are worked on in slices, one request after the other; small ones go in between.

A request with a thousand rows takes some ten milliseconds: whoever sends a single row must not wait for it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

from pydantic import ValidationError

from perenne.common.contract import Contract
from perenne.serving.rows import InputRow, PredictAdapter

SMALL = 64  # rows of a request that does not wait for larger ones
VALUES = 800  # in a slice: about half a millisecond
FEWEST = 8  # rows in a slice, however many values they have
SMALL_BODY = 16_384  # bytes that are read at once: they take a tenth of a millisecond
BLANK = rb"[ \t\n\r]*"
BEGIN = re.compile(rb'%b\{%b"rows"%b:%b\[' % (BLANK, BLANK, BLANK, BLANK))
END = re.compile(rb"\]%b\}%b\Z" % (BLANK, BLANK))
LONGEST_END = 64  # bytes
BETWEEN = re.compile(rb"\}(%b,%b)\{" % (BLANK, BLANK))


def rows_at_once(contract: Contract) -> int:
    """How many rows are in a slice: fewer of those with many columns."""
    return max(VALUES // len(contract.columns), FEWEST)


async def checked(
    body: bytes, adapter: PredictAdapter, turn: asyncio.Lock, size: int = SMALL_BODY
) -> list[InputRow]:
    """The rows of a body, as `PredictAdapter.validate_json` returns them.

    Parameters
    ----------
    body
        JSON.
    adapter
        Of the contract.
    turn
        Is held while a large body is read: that of whoever works in slices.
    size
        Of a slice in bytes. A body that is not larger is read at once.

    Raises
    ------
    ValidationError
        That of the body as a whole.

    """
    if len(body) > size:
        async with turn:
            if (rows := await _in_slices(body, adapter, size)) is not None:
                return rows
    return adapter.validate_json(body)["rows"]


async def _in_slices(body: bytes, adapter: PredictAdapter, size: int) -> list[InputRow] | None:
    """The rows, if each slice is a list of valid rows and there are not too many of them; else None.

    Lists of JSON with a comma between them are one list, so where the slices begin need not be understood: if
    a cut is in the middle of a row, one of the two slices is not valid.
    """
    rows: list[InputRow] = []
    for piece in pieces(body, size):
        try:
            rows += adapter.validate_list(b"[%b]" % piece)
        except ValidationError:
            return None
        if len(rows) > adapter.max_rows:
            return None
        await asyncio.sleep(0)
    return rows or None


def pieces(body: bytes, size: int) -> Iterator[bytes]:
    """Cut the list in `{"rows": [...]}` between two rows, if it looks like that; the commas are left out.

    Parameters
    ----------
    body
        JSON.
    size
        Of a piece in bytes, at least; the last one may be smaller.

    >>> [*pieces(b'{"rows": [{"a": 1}, {"a": 2}, {"a": 3}]}', 2)]
    [b'{"a": 1}', b'{"a": 2}', b'{"a": 3}']
    >>> [*pieces(b'[{"a": 1}]', 2)]
    []

    """
    begin, end = BEGIN.match(body), END.search(body, max(len(body) - LONGEST_END, 0))
    if not begin or not end:
        return
    start = begin.end()
    while cut := BETWEEN.search(body, start + size, end.start()):
        yield body[start : cut.start(1)]
        start = cut.end(1)
    yield body[start : end.start()]
