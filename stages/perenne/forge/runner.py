"""What GitHub's runner tells a job, and what a job tells it: files and variables, never text in a shell."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from perenne.common.errors import PerenneError

BOT = "github-actions[bot]"
EMAIL = "41898282+github-actions[bot]@users.noreply.github.com"
LOCAL = Path(".dvc/config.local")

Settings = Iterator[tuple[str, str]]  # of Git: key and value


def event() -> dict[str, Any]:
    """What has happened. Titles and names of branches in it are other people's text: data, and no more."""
    found: dict[str, Any] = json.loads(Path(variable("GITHUB_EVENT_PATH")).read_text(encoding="utf-8"))
    return found


def variable(name: str) -> str:
    """A variable that a workflow sets; a `PerenneError` says which is missing."""
    found = os.environ.get(name)
    if not found:
        raise PerenneError(f"{name}: not set; perenne github is for GitHub's workflows, which set it")
    return found


def summary(markdown: str) -> None:
    """Add to the page of the run."""
    _append("GITHUB_STEP_SUMMARY", f"{markdown}\n")


def output(name: str, value: str) -> None:
    """Hand a value of one line to the steps that follow."""
    if "\n" in value:
        raise PerenneError(f"{name}: {value!r:.60} is more than a line")
    _append("GITHUB_OUTPUT", f"{name}={value}\n")


def identify() -> None:
    """Let git write notes, tags and commits as the workflow: a runner has no user."""
    for who in ("AUTHOR", "COMMITTER"):
        os.environ |= {f"GIT_{who}_NAME": BOT, f"GIT_{who}_EMAIL": EMAIL}


@contextmanager
def rights() -> Iterator[None]:
    """Let git reach the origin with the token in `GH_TOKEN`, and sign tags with the key in `SIGNING_KEY`.

    By variables alone: a checkout with the token in its settings would hand it to whatever runs there.
    """
    before = dict(os.environ)
    with TemporaryDirectory(prefix="perenne-") as temporary:
        settings = [*_origin(os.environ.get("GH_TOKEN")), *_signing(os.environ.get("SIGNING_KEY"), temporary)]
        for i, (key, value) in enumerate(settings):
            os.environ |= {f"GIT_CONFIG_KEY_{i}": key, f"GIT_CONFIG_VALUE_{i}": value}
        os.environ["GIT_CONFIG_COUNT"] = str(len(settings))
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def _origin(token: str | None) -> Settings:
    if token:
        basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        yield f"http.{server}/.extraheader", f"AUTHORIZATION: basic {basic}"


def _signing(key: str | None, folder: str) -> Settings:
    """An SSH key without a passphrase; Git reads it from a file."""
    if key:
        file = Path(folder) / "key"
        file.touch(mode=0o600)
        file.write_text(f"{key.strip()}\n", encoding="utf-8")
        yield from (("gpg.format", "ssh"), ("user.signingkey", str(file)))


def configure_dvc() -> None:
    """Write the settings of DVC's remote, if there are any in `DVC_CONFIG`, where no commit holds them."""
    if settings := os.environ.get("DVC_CONFIG"):
        LOCAL.touch(mode=0o600)
        LOCAL.write_text(settings, encoding="utf-8")


def _append(variable_name: str, text: str) -> None:
    with Path(variable(variable_name)).open("a", encoding="utf-8") as file:
        file.write(text)
