"""The one issue that asks for experiments: opened, updated, and closed when a better version is in prod.

A hidden mark in its text identifies it. Anybody can write the mark, so only issues by trusted authors count.
"""

from __future__ import annotations

from perenne import forge
from perenne.common.names import DEGRADED, PROD
from perenne.forge.port import Forge, Issue
from perenne.registry import tags


def put(host: Forge, case: str, title: str, body: str) -> str:
    """Open a case's issue, or update it; return a message for the log.

    Raises
    ------
    PerenneError
        If the Git host refuses a request or cannot be reached.

    """
    text = f"{_mark(case)}\n\n{body}"
    known = _open(host, case)
    if known is None:
        return f"#{host.open_issue(title, text)} is opened: {title}"
    if (known.title, known.body) != (title, text):
        host.edit_issue(known.number, title, text)
        return f"#{known.number} is updated"
    return f"#{known.number} is up to date already"


def settle(case: str) -> tuple[str, ...]:
    """Close a case's issue if the version in prod is not degraded; return a message if it was closed.

    Returns
    -------
    One message; none if there is nothing to close, or this process does not run on a Git host.

    Raises
    ------
    PerenneError
        If the Git host refuses a request or cannot be reached.

    """
    host = forge.current()
    if host is None:
        return ()
    registry = tags.read(case)
    prod, known = registry.in_stage(PROD), _open(host, case)
    if known is None or prod is None or DEGRADED in registry.stages(prod):
        return ()
    host.comment(known.number, f"{prod.tag} is in {PROD} now.")
    host.close_issue(known.number)
    return (f"#{known.number} is closed: {prod.tag} is in {PROD}",)


def number(host: Forge, case: str) -> int | None:
    """Return the number of a case's open issue; None if there is none."""
    known = _open(host, case)
    return None if known is None else known.number


def _open(host: Forge, case: str) -> Issue | None:
    marked = (each for each in host.open_issues() if each.trusted and each.body.startswith(_mark(case)))
    return next(marked, None)


def _mark(case: str) -> str:
    return f"<!-- perenne loop {case} -->"
