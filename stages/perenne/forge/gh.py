"""GitHub's command `gh`: arguments as a list, a request's body as JSON on stdin. Only `github.py` uses it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode

from perenne.common.errors import PerenneError


def path(repository: str, *parts: str | int, **query: str | int) -> str:
    """The address of something in a repository. Each part is quoted, so that none can leave its place.

    >>> path("ada/perenne", "pulls", 7, "files", per_page=100)
    'repos/ada/perenne/pulls/7/files?per_page=100'
    >>> path("ada/perenne", "branches", "a/../../b?c")
    'repos/ada/perenne/branches/a%2F..%2F..%2Fb%3Fc'
    """
    place = "/".join(["repos", repository, *(quote(str(part), safe="") for part in parts)])
    return f"{place}?{urlencode(query)}" if query else place


def get(address: str) -> Any:  # JSON as it is: `github.py` reads it into models
    """Return the JSON at an address.

    Raises
    ------
    PerenneError
        If `gh` is missing or fails.

    """
    return json.loads(_run(["api", address]))


def pages(address: str) -> list[Any]:
    """Return all items of a list, from all of its pages.

    Raises
    ------
    PerenneError
        If `gh` is missing or fails.

    """
    listed = json.loads(_run(["api", "--paginate", "--slurp", address]))
    return [item for page in listed for item in page]


def send(method: str, address: str, body: Mapping[str, object]) -> Any:
    """Send a body as JSON; return the JSON of the answer, None if it is empty.

    Raises
    ------
    PerenneError
        If `gh` is missing or fails.

    """
    answer = _run(["api", "--method", method, "--input", "-", address], json.dumps(body))
    return json.loads(answer) if answer.strip() else None


def download(address: str, file: Path) -> None:
    """Write the bytes at an address into a file.

    Raises
    ------
    PerenneError
        If `gh` is missing or fails.

    """
    with file.open("wb") as target:
        _run(["api", address], stdout=target)


def run(arguments: Sequence[str], text: str = "") -> str:
    """Run another command of `gh`, with a text on stdin; return what it printed.

    Raises
    ------
    PerenneError
        If `gh` is missing or fails.

    """
    return _run(list(arguments), text)


def _run(arguments: list[str], text: str = "", stdout: IO[bytes] | int = subprocess.PIPE) -> str:
    try:
        done = subprocess.run(  # noqa: S603 -- no shell; arguments are passed as they are
            ["gh", *arguments],  # noqa: S607 -- the runner's own
            input=text.encode(),
            stdout=stdout,
            stderr=subprocess.PIPE,
            check=False,
        )
    except FileNotFoundError:
        raise PerenneError("gh: not found; GitHub's runners have it") from None
    if done.returncode:
        reason = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise PerenneError(
            f"gh {' '.join(arguments[:4])}: {reason[:500] or f'exit status {done.returncode}'}"
        )
    return (done.stdout or b"").decode("utf-8", "replace")
