"""The one issue that asks for experiments: opened, brought up to date, and closed when another model is used.

It is found by a hidden mark in its text, and only among those of people who could have written it here.
"""

from __future__ import annotations

import os
from typing import Any

from perenne.common import names
from perenne.forge import gh, runner
from perenne.registry import tags

OURS = ("OWNER", "MEMBER", "COLLABORATOR")  # anybody can write the mark


def on_github() -> bool:
    """Whether there is a GitHub to tell: its workflows set which repository it is."""
    return bool(os.environ.get("GITHUB_REPOSITORY"))


def put(case: str, title: str, body: str) -> str:
    """Open the issue, or bring it up to date; return what was done."""
    text = f"{_mark(case)}\n\n{body}"
    known = _open(case)
    if known is None:
        new = gh.send("POST", gh.path("issues"), {"title": title, "body": text})
        return f"#{new['number']} is opened: {title}"
    if (known["title"], known["body"]) != (title, text):
        gh.send("PATCH", gh.path("issues", known["number"]), {"title": title, "body": text})
        return f"#{known['number']} is brought up to date"
    return f"#{known['number']} says so already"


def settle(case: str) -> tuple[str, ...]:
    """Close the issue if the version that is in prod is not degraded; return what was done, if anything."""
    if not on_github():
        return ()
    registry = tags.read(case)
    prod, known = registry.in_stage(names.PROD), _open(case)
    if known is None or prod is None or names.DEGRADED in registry.stages(prod):
        return ()
    number_ = known["number"]
    gh.send("POST", gh.path("issues", number_, "comments"), {"body": f"{prod.tag} is in prod now."})
    gh.send("PATCH", gh.path("issues", number_), {"state": "closed"})
    return (f"#{number_} is closed: {prod.tag} is in prod",)


def number(case: str) -> int | None:
    """The number of the open issue."""
    known = _open(case)
    return None if known is None else int(known["number"])


def _open(case: str) -> dict[str, Any] | None:
    for one in gh.pages(gh.path("issues", state="open", per_page=100)):
        ours = one["author_association"] in OURS or one["user"]["login"] == runner.BOT
        if "pull_request" not in one and ours and (one["body"] or "").startswith(_mark(case)):
            return dict(one)
    return None


def _mark(case: str) -> str:
    return f"<!-- perenne loop {case} -->"
