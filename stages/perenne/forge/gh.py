"""GitHub, through its own `gh`: arguments as a list, what is sent as JSON on stdin."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode

from perenne.common.errors import PerenneError
from perenne.forge.runner import variable


def path(*parts: str | int, **query: str | int) -> str:
    """The address of something in this repository; no part can leave its place, whatever is in it.

    >>> import os
    >>> os.environ["GITHUB_REPOSITORY"] = "ada/perenne"
    >>> path("pulls", 7, "files", per_page=100)
    'repos/ada/perenne/pulls/7/files?per_page=100'
    >>> path("branches", "a/../../b?c")
    'repos/ada/perenne/branches/a%2F..%2F..%2Fb%3Fc'
    """
    place = "/".join(["repos", variable("GITHUB_REPOSITORY"), *(quote(str(part), safe="") for part in parts)])
    return f"{place}?{urlencode(query)}" if query else place


def get(address: str) -> Any:
    """What is there."""
    return json.loads(_run(["api", address]))


def pages(address: str) -> list[Any]:
    """All of a list, however many pages it has."""
    found = json.loads(_run(["api", "--paginate", "--slurp", address]))
    return [one for page in found for one in page]


def send(method: str, address: str, body: dict[str, Any]) -> Any:
    """Send a body, and return the answer."""
    answer = _run(["api", "--method", method, "--input", "-", address], json.dumps(body))
    return json.loads(answer) if answer.strip() else None


def download(address: str, to: Path) -> None:
    """Write what is there into a file."""
    with to.open("wb") as file:
        _run(["api", address], stdout=file)


def run(arguments: Sequence[str], text: str = "") -> str:
    """Run any other command of `gh`, with a text on stdin."""
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
        said = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise PerenneError(f"gh {' '.join(arguments[:4])}: {said[:500] or f'exit status {done.returncode}'}")
    return (done.stdout or b"").decode("utf-8", "replace")
