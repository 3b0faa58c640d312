"""The runner of GitHub Actions: variables and files by which a job gets its input and reports results.

It belongs to the commands of this room and not to the port: a runner is where a job runs, a Git host is what
it writes to, and nothing below this room needs a runner. All values travel in files and variables, never as
text in a shell.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from perenne.common.errors import PerenneError
from perenne.common.typed import parse
from perenne.forge.github import GitHub
from perenne.forge.payload import Payload

LOCAL = Path(".dvc/config.local")

Settings = Iterator[tuple[str, str]]  # of Git: key and value
P = TypeVar("P", bound=Payload)


def event(model: type[P]) -> P:
    """Return the event that started the workflow. Its titles and branch names are other people's text.

    They are data: never put them into a shell or a path.

    Raises
    ------
    PerenneError
        If the event lacks a key that the model needs; or if this is not a job of a workflow.

    """
    file = Path(variable("GITHUB_EVENT_PATH"))
    return parse(model, json.loads(file.read_text(encoding="utf-8")), str(file))


def variable(name: str) -> str:
    """Return a variable that a workflow sets; a `PerenneError` names it if it is missing."""
    value = os.environ.get(name)
    if not value:
        raise PerenneError(f"{name}: not set; perenne github is for GitHub's workflows, which set it")
    return value


def summary(markdown: str) -> None:
    """Add Markdown to the page of the run."""
    _append("GITHUB_STEP_SUMMARY", f"{markdown}\n")


def output(name: str, value: str) -> None:
    """Pass a value of one line to later steps.

    Raises
    ------
    PerenneError
        If the value has more than one line, or this is not a job of a workflow.

    """
    if "\n" in value:
        raise PerenneError(f"{name}: {value!r:.60} has more than one line")
    _append("GITHUB_OUTPUT", f"{name}={value}\n")


def flag(name: str, *, value: bool) -> None:
    """Pass true or false to later steps."""
    output(name, "true" if value else "false")


def identify() -> None:
    """Let Git write notes, tags and commits as the bot: a runner has no user of its own."""
    for role in ("AUTHOR", "COMMITTER"):
        os.environ |= {f"GIT_{role}_NAME": GitHub.bot.name, f"GIT_{role}_EMAIL": GitHub.bot.email}


@contextmanager
def rights() -> Iterator[None]:
    """Let Git reach the origin with the token in `GH_TOKEN`, and sign tags with the key in `SIGNING_KEY`.

    Through variables only: a checkout with the token in its settings would give it to everything that runs
    there.
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
    """Write the settings of DVC's remote, if `DVC_CONFIG` has any, to a file that no commit holds."""
    if settings := os.environ.get("DVC_CONFIG"):
        LOCAL.touch(mode=0o600)
        LOCAL.write_text(settings, encoding="utf-8")


def _append(variable_name: str, text: str) -> None:
    with Path(variable(variable_name)).open("a", encoding="utf-8") as file:
        file.write(text)
