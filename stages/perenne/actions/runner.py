"""The runner of GitHub Actions: variables and files by which a job gets its input and reports results.

It belongs to the commands of this room and not to the port: a runner is where a job runs, a Git host is what
it writes to, and nothing below this room needs a runner. All values travel in files and variables, never as
text in a shell.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
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

# GitHub publishes it: docs.github.com, "GitHub's SSH key fingerprints".
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"

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


def run() -> int:
    """Return the id of this run, which its jobs share: artifacts are found by it."""
    return int(variable("GITHUB_RUN_ID"))


def summary(markdown: str) -> None:
    """Add Markdown to the page of the run."""
    _append("GITHUB_STEP_SUMMARY", f"{markdown}\n")


def output(name: str, value: str) -> None:
    """Pass a value of one line to later steps.

    Raises
    ------
    PerenneError
        If the value has more than one line to any reader of it, or this is not a job of a workflow.

    """
    if value.splitlines() not in ([], [value]) or "\0" in value:
        raise PerenneError(f"{name}: {value!a:.60} has more than one line")
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

    With a deploy key in `PUSH_KEY`, it pushes with that one: rules for tags can name deploy keys, but not the
    token, which a workflow of any branch has. Through variables only: a checkout with the token in its
    settings would give it to everything that runs there.
    """
    before = dict(os.environ)
    with TemporaryDirectory(prefix="perenne-") as temporary:
        settings = [
            *_origin(os.environ.get("GH_TOKEN")),
            *_pushing(os.environ.get("PUSH_KEY"), Path(temporary) / "push"),
            *_signing(os.environ.get("SIGNING_KEY"), Path(temporary) / "sign"),
        ]
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
        yield f"http.{_server()}/.extraheader", f"AUTHORIZATION: basic {basic}"


def _pushing(key: str | None, file: Path) -> Settings:
    """A deploy key: an SSH key that may write to this repository and nothing else."""
    if key:
        _private(file, key)
        host = _server().removeprefix("https://")
        yield f"url.ssh://git@{host}/.pushInsteadOf", f"{_server()}/"
        known = file.with_name("known_hosts")
        known.write_text(f"github.com {HOST_KEY}\n", encoding="utf-8")
        # Another server is trusted as the runner finds it, and the key alone is of no use to it.
        check = "yes" if host == "github.com" else "accept-new"
        options = {"IdentitiesOnly": "yes", "UserKnownHostsFile": known, "StrictHostKeyChecking": check}
        given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        yield "core.sshCommand", shlex.join(["ssh", "-F", "none", "-i", str(file), *given])


def _signing(key: str | None, file: Path) -> Settings:
    """An SSH key without a passphrase; Git reads it from a file."""
    if key:
        _private(file, key)
        yield from (("gpg.format", "ssh"), ("user.signingkey", str(file)))


def _private(file: Path, key: str) -> None:
    file.touch(mode=0o600)
    file.write_text(f"{key.strip()}\n", encoding="utf-8")


def _server() -> str:
    return os.environ.get("GITHUB_SERVER_URL", "https://github.com")


def configure_dvc() -> None:
    """Write the settings of DVC's remote, if `DVC_CONFIG` has any, to a file that no commit holds."""
    if settings := os.environ.get("DVC_CONFIG"):
        LOCAL.touch(mode=0o600)
        LOCAL.write_text(settings, encoding="utf-8")


def _append(variable_name: str, text: str) -> None:
    with Path(variable(variable_name)).open("a", encoding="utf-8") as file:
        file.write(text)
