"""`perenne gate`."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Annotated

import typer

from perenne.common.options import PolicyFrom, Push

app = typer.Typer()

# Exit status by answer. 2 is also that of a wrong command line.
STATUS = {"eligible": 0, "rejected": 1, "undecided": 3}
COULD_NOT_JUDGE = 2


@app.command()
def gate(
    *,
    base: Annotated[
        str | None, typer.Option(metavar="REV", help="A commit whose model must be beaten as well.")
    ] = None,
    policy_from: PolicyFrom = None,
    json: Annotated[Path | None, typer.Option(help="Write the verdict to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write it as Markdown to this file.")] = None,
    push: Push = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not fetch tags and looks from the remote.")
    ] = False,
) -> None:
    """Judge this commit's model against the one in prod.

    Exit status: 0 eligible, 1 rejected, 3 undecided, 2 could not judge.
    """
    from perenne.common.disk import replacing
    from perenne.common.errors import PerenneError
    from perenne.gate import gate as judge
    from perenne.pages import verdict as page

    try:
        verdict = judge.gate(base=base, policy_from=policy_from, share=push, offline=offline)
        if json:
            verdict.write(json)
        if markdown:
            with replacing(markdown) as temporary:
                temporary.write_text(page.markdown(verdict), encoding="utf-8")
    except PerenneError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(COULD_NOT_JUDGE) from error
    except Exception as error:
        traceback.print_exc()
        raise typer.Exit(COULD_NOT_JUDGE) from error
    typer.echo(page.text(verdict))
    raise typer.Exit(STATUS[verdict.answer])
