"""Lines of a text in any encoding; the first byte that is not of it is named with its line."""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedIOBase, TextIOWrapper
from typing import IO, cast

from perenne.common.errors import PerenneError
from perenne.common.reading import Read

WIDE = ("utf-16", "utf-32", "utf-7")  # a line break is not one byte in them


def lines(file: BufferedIOBase, read: Read) -> Iterator[bytes | str]:
    """The lines, as bytes where a line break is a byte: what is not read need not be in the encoding."""
    if read.codec.startswith(WIDE):
        return iter(TextIOWrapper(cast("IO[bytes]", file), read.codec, newline=""))
    return iter(file)


def decoded(lines: Iterator[bytes | str], name: str, read: Read) -> Iterator[str]:
    """The lines as text.

    Raises
    ------
    PerenneError
        Names the file, the line, the byte and what would do.

    """
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            yield line if isinstance(line, str) else line.decode(_codec(read, number))
    except UnicodeError as error:
        wide = read.codec.startswith(WIDE)  # then the line that cannot be read was not counted
        raise wrong(f"{name}: line {number + wide}", error, read) from error


def whole(file: BufferedIOBase, name: str, read: Read) -> str:
    """All of a text; errors as for `decoded`."""
    content = file.read()
    try:
        return content.decode(_codec(read, 1))
    except UnicodeError as error:
        raise wrong(name, error, read) from error


def wrong(where: str, error: UnicodeError, read: Read) -> PerenneError:
    """The line that says which byte is not of the encoding."""
    is_utf8 = read.codec == "utf-8"
    byte = str(error)
    if isinstance(error, UnicodeDecodeError):
        shown = error.object[max(0, error.start - 79) if error.start >= 80 else 0 :][:80]
        byte = f"byte {error.object[error.start]:#x} in {bytes(shown)!r}"
    save = "save it as UTF-8, or " if is_utf8 else ""
    example = "latin-1" if is_utf8 else "utf-8"
    return PerenneError(
        f"{where}: not {'UTF-8' if is_utf8 else read.encoding}: {byte}; {save}name its encoding in the "
        f"contract, such as read: {{encoding: {example}}}"
    )


def _codec(read: Read, number: int) -> str:
    """The codec of a line: a byte order mark at the beginning says nothing."""
    return "utf-8-sig" if number == 1 and read.codec == "utf-8" else read.codec
