"""Options that several commands share. Every command imports this, so it imports nothing heavy."""

from __future__ import annotations

from typing import Annotated

import typer

Push = Annotated[bool, typer.Option("--push", help="Push the result to the Git remote, data first.")]
PolicyFrom = Annotated[
    str | None,
    typer.Option("--policy-from", metavar="REV", help="Take the policy from this commit: in CI, the base."),
]
Case = Annotated[str | None, typer.Option("--case", help="Default: the case in params.yaml.")]


def current_case() -> str:
    """The case in params.yaml."""
    from perenne.common import sections

    return sections.case()
