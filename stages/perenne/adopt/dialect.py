"""How a text file is written: its encoding, what separates values, and what quotes them."""

from __future__ import annotations

import csv
import re
from collections import Counter
from io import BufferedIOBase
from itertools import islice
from typing import NamedTuple

from charset_normalizer import from_bytes

from perenne.common.errors import PerenneError

DELIMITERS = (",", ";", "\t", "|")
DATE = re.compile(r"[0-9]{1,4}([-/.])[0-9]{1,2}\1[0-9]{1,4}\b")
SAMPLE = 200  # lines that say what separates values
AGREE = 0.9  # of them have as many values as the header
MOST = 2**20  # bytes that say how they are encoded, if they are not UTF-8
OTHERS = {
    b'[{"': "JSON",
    b'{"': "JSON",
    b"[\n": "JSON",
    b"<": "HTML or XML",
    b"\x1f\x8b": "a packed file",
    b"PK\x03\x04": "a packed file",
}
OTHERWISE = {
    "JSON": "give it the ending .json",
    "HTML or XML": "save it as CSV",
    "a packed file": "unpack it, or give it the ending .gz or .zip",
}
MOST_ABOVE = 20  # lines above the names of the columns
EXCELS = re.compile(r'"?sep=(.)"?\s*$', re.IGNORECASE)  # a first line that only Excel reads
WHOLE_LINE = re.compile('"(?:[^"]|"")*"')
WORD = re.compile(rb"[^\s;,|]+")
MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# Encodings in use, the commonest first: of two that can read the bytes alike, the first is taken.
ENCODINGS = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "shift_jis", "euc_kr", "gb18030", "big5"]


class Dialect(NamedTuple):
    """The encoding as Python calls it, the delimiter, and the quote."""

    encoding: str
    delimiter: str
    quote: str


def sniffed(file: BufferedIOBase, name: str, encoding: str | None = None) -> Dialect:
    """The dialect of a text file with a header.

    Parameters
    ----------
    file
        Its bytes, unpacked.
    name
        What an error calls it.
    encoding
        What the user calls its encoding; None: it is found out.

    Raises
    ------
    PerenneError
        If it is empty, is no text, has one column, or its first line is data.

    """
    head = file.read(MOST)
    empty = PerenneError(f"{name}: is empty; the first line must name the columns")
    if not head.strip():
        raise empty
    other = next((kind for begins, kind in OTHERS.items() if head.lstrip().startswith(begins)), None)
    if other:
        raise PerenneError(f"{name}: holds {other} by its first bytes; {OTHERWISE[other]}")
    encoding = encoding or _encoding(head, file, name)
    lines = head.decode(encoding, errors="ignore").lstrip("\ufeff").splitlines()
    sample = list(islice((line for line in lines if line.strip()), SAMPLE))
    if not sample:  # but for the mark of its encoding
        raise empty
    if EXCELS.match(sample[0]):
        raise PerenneError(f"{name}: line 1 is {sample[0].strip()!r}, which only Excel reads; remove it")
    if "\x00" in sample[0]:
        raise PerenneError(f"{name}: is not a text file, and its ending says it is one; rename it")
    longest = max(map(len, sample))
    if longest > csv.field_size_limit():
        raise PerenneError(
            f"{name}: has a line of {longest:,} characters or more ({sample[0][:60]!r}); write a row a line"
        )
    if all(WHOLE_LINE.fullmatch(line) for line in sample) and any(d in sample[0] for d in DELIMITERS):
        raise PerenneError(
            f"{name}: each line is one value, in quotes as a whole ({sample[0][:60]!r}); remove the quotes "
            "around the lines"
        )
    quote = "'" if _quoted(sample, "'") > _quoted(sample, '"') else '"'
    delimiter = _delimiter(sample, quote)
    if delimiter is None:
        raise PerenneError(f"{name}: {_why_none(lines, sample, quote)}")
    header = next(csv.reader(sample[:1], delimiter=delimiter, quotechar=quote))
    if sum(not text.strip() for text in header) > len(header) / 2 and len(header) > 2:
        raise PerenneError(
            f"{name}: its first line names few of {len(header)} columns ({sample[0][:60]!r}); remove the "
            "lines above the one that names all"
        )
    if _is_data(header, list(csv.reader(sample[1:], delimiter=delimiter, quotechar=quote))):
        raise PerenneError(
            f"{name}: its first line is data ({sample[0][:60]!r}); add a line that names the columns"
        )
    return Dialect(encoding, delimiter, quote)


def _encoding(head: bytes, rest: BufferedIOBase, name: str) -> str:
    marked = next((encoding for mark, encoding in MARKS.items() if head.startswith(mark)), None)
    if marked:
        return marked
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):  # of mostly Latin letters, without its mark
        if (every := head[first:400:2]).count(0) > 3 / 4 * len(every):
            return encoding
    if _is_utf8(head, rest):
        return "utf-8"
    if b"\0" in head:  # a picture, a database, a PDF
        raise PerenneError(f"{name}: is not a text file, and its ending says it is one; rename it")
    # What is ASCII says nothing. Lists of names look unlike prose, so a second try is less particular.
    words = b" ".join(word for word in WORD.findall(head) if not word.isascii()) or head
    tries = (from_bytes(words, cp_isolation=ENCODINGS, threshold=most).best() for most in (0.2, 0.8))
    best = next(filter(None, tries), None)
    if best is None:
        raise PerenneError(
            f"{name}: its encoding cannot be found out; --encoding names it, or save it as UTF-8"
        )
    # Latin letters with accents are the same bytes in many of them.
    same = {best.encoding, *best.could_be_from_charset}
    return next((encoding for encoding in ENCODINGS if encoding in same), str(best.encoding))


def _is_utf8(head: bytes, rest: BufferedIOBase) -> bool:
    import codecs

    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(head)
        while piece := rest.read(MOST):
            decoder.decode(piece)
    except UnicodeDecodeError:
        return False
    return True


def _quoted(lines: list[str], quote: str) -> int:
    """How many values begin or end with a quote."""
    marks = [f"{d}{quote}" for d in DELIMITERS] + [f"{quote}{d}" for d in DELIMITERS]
    return sum(line.count(mark) for line in lines for mark in marks)


def _delimiter(lines: list[str], quote: str) -> str | None:
    """What cuts all lines into as many values as the header, and into most; None: nothing does."""
    widths: dict[str, int] = {}
    for delimiter in DELIMITERS:
        # A text may go on over lines: the last of the sample may be cut, and so may be wrong.
        rows = [len(row) for row in csv.reader(lines, delimiter=delimiter, quotechar=quote) if row]
        if not rows:
            continue
        header, alike = rows[0], Counter(rows)[rows[0]]
        if header > 1 and (alike >= AGREE * len(rows) or alike >= len(rows) - 1):
            widths[delimiter] = header
    if not widths and len(lines) > 1:  # a blank is also within texts: only where nothing else separates
        rows = [len(row) for row in csv.reader(lines, delimiter=" ", quotechar=quote) if row]
        return " " if min(rows) == max(rows) > 1 and "" not in lines[0].split(" ") else None
    return max(widths, key=lambda delimiter: widths[delimiter]) if widths else None


def _why_none(lines: list[str], sample: list[str], quote: str) -> str:
    """What to do about a file in which nothing separates columns, as the end of a sentence."""
    for above in range(1, min(MOST_ABOVE, len(sample) - 2) + 1):
        delimiter = _delimiter(sample[above:], quote)
        if delimiter in DELIMITERS:
            header = next(csv.reader(sample[above : above + 1], delimiter=delimiter, quotechar=quote))
            number = lines.index(sample[above]) + 1
            if any(map(_is_number, header)):
                first = len(next(csv.reader(sample[:1], delimiter=delimiter, quotechar=quote)))
                return (
                    f"line {number} has {len(header)} values, but the first line {first} ({sample[0][:60]!r}"
                    "); it must name each column once"
                )
            return f"line {number} seems to name the columns; remove the lines above it ({sample[0][:60]!r})"
    return (
        f"no column is separated from another in {sample[0][:60]!r}; separate values by a comma, "
        "a semicolon, a tab or |"
    )


def _is_data(first: list[str], rows: list[list[str]]) -> bool:
    """Whether a first line is one of values: numbers, dates, and words that its columns have again."""
    numbers = [_is_number(text) or bool(DATE.match(text.strip())) for text in first]
    if all(numbers):
        return True
    again = [{row[place] for row in rows if place < len(row)} for place in range(len(first))]
    return any(numbers) and all(
        is_number or text in words for is_number, text, words in zip(numbers, first, again, strict=True)
    )


def _is_number(text: str) -> bool:
    try:
        float(text.strip().replace(",", "."))
    except ValueError:
        return False
    return True
