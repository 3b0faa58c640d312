"""One base class for every error that a user can mend; its message says how, in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import cache
from typing import ClassVar, Never


class PerenneError(Exception):
    """Bad input: the message names the file, the key or row, the value, and what would be accepted.

    `status` is the exit status of a command that it ends; `perenne.common.status` lists them all.
    """

    status: ClassVar[int] = 1


def hint(name: object, valid: Iterable[object]) -> str:
    """What would be accepted instead of `name`, the nearest first.

    Returns
    -------
    str
        The end of a sentence; "there is none" if nothing is valid.

    Examples
    --------
    >>> hint("windw", ["window", "holdout"])
    "did you mean 'window'? Valid: holdout, window"
    >>> hint("xyz", ["window"])
    'valid: window'

    """
    options = sorted(map(str, valid))
    if not options:
        return "there is none"
    listed = ", ".join(map(printable, options))
    nearest = get_close_matches(str(name), options, n=1)
    return f"did you mean {nearest[0]!r}? Valid: {listed}" if nearest else f"valid: {listed}"


@cache
def warn(message: str) -> None:
    """Print a warning to stderr, in one line; each only once in a process."""
    line = " ".join(message.split())
    sys.stderr.write(f"warning: {''.join(c if c.isprintable() else '?' for c in line)}\n")


def printable(text: str) -> str:
    r"""Escape what is not printable: in a terminal or a log, what others wrote must be nothing but text.

    >>> print(printable("a\n::error::\x1b[31m"))
    a\n::error::\x1b[31m
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def fail(message: str) -> Never:
    """Raise a `PerenneError` where only an expression fits."""
    raise PerenneError(message)


def run(main: Callable[[], None]) -> None:
    """Run a stage or a command: bad input ends in one line on stderr and the error's exit status."""
    try:
        main()
    except PerenneError as error:
        lines = "\n".join(map(printable, str(error).split("\n")))
        print(f"error: {lines}", file=sys.stderr)
        sys.exit(error.status)
