"""Options that several commands share. Nothing heavy is imported: every command starts with this."""

from __future__ import annotations

from typing import Annotated

import typer

Push = Annotated[bool, typer.Option("--push", help="Share it: push to the Git remote, data first.")]
PolicyFrom = Annotated[
    str | None,
    typer.Option("--policy-from", metavar="REV", help="The commit whose policy counts: in CI, the base."),
]
Case = Annotated[str | None, typer.Option("--case", help="By default the one in params.yaml.")]


def current_case() -> str:
    """The case in params.yaml."""
    from perenne.common import sections

    return sections.case()
