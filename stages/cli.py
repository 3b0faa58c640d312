"""The `perenne` command: thin, and quick to start, because heavy imports wait until they are used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A Git-native machine-learning pipeline that keeps a released model true.",
)

# What a gate's exit status says. 2 is also what a command line that cannot be read ends in.
STATUS = {"eligible": 0, "rejected": 1, "undecided": 3}
COULD_NOT_JUDGE = 2

Push = Annotated[bool, typer.Option("--push", help="Share it: push to the Git remote, data first.")]
PolicyFrom = Annotated[
    str | None,
    typer.Option("--policy-from", metavar="REV", help="The commit whose policy counts: in CI, the base."),
]
Name = Annotated[str | None, typer.Option("--case", help="By default the one in params.yaml.")]


@app.callback()
def perenne() -> None:
    """Make Typer name the commands, even while there is only one."""


@app.command()
def use(
    case: Annotated[str, typer.Argument(help="A folder under data/cases/.")],
    *,
    force: Annotated[bool, typer.Option("--force", help="Lose changes that no commit holds.")] = False,
) -> None:
    """Make a case current: its params become those of the root."""
    from stages.cases import current

    typer.echo(current.use(case, force=force))


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
        bool, typer.Option("--offline", help="Do not ask the remote for tags and looks.")
    ] = False,
) -> None:
    """Judge the model here against the one in prod.

    Exit status: 0 eligible, 1 rejected, 3 undecided, 2 could not judge.
    """
    from stages.common.errors import PerenneError
    from stages.gate import show, verdict

    try:
        found = verdict.gate(base=base, policy_from=policy_from, share=push, offline=offline)
        show.write(found, json, markdown)
    except PerenneError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(COULD_NOT_JUDGE) from error
    typer.echo(show.text(found))
    raise typer.Exit(STATUS[found["answer"]])


@app.command()
def release(
    *,
    stage: Annotated[str, typer.Option(help="Where the version is put to use.")] = "prod",
    policy_from: PolicyFrom = None,
    push: Push = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the tags, create none.")] = False,
) -> None:
    """Tag the model of this commit as a version, if the gate found it eligible, and assign it to a stage."""
    from stages.registry import release

    typer.echo(release.release(stage=stage, policy_from=policy_from, push=push, dry_run=dry_run))


@app.command()
def models(
    *,
    case: Name = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the released versions: stage, metrics, as_of, age."""
    from datetime import UTC, datetime
    from json import dumps

    from stages.registry import models

    found = models.models(case or _case())
    typer.echo(dumps(found, indent=2) if json else models.table(found, datetime.now(UTC)))


@app.command()
def rollback(
    version: Annotated[
        str | None, typer.Argument(help="By default the one that was in the stage before.")
    ] = None,
    *,
    reason: Annotated[str, typer.Option(help="Why: it is kept in the tag.")],
    stage: Annotated[str, typer.Option(help="The stage to roll back.")] = "prod",
    case: Name = None,
    push: Push = False,
) -> None:
    """Put an earlier version to use again: a new assignment, no history is rewritten."""
    from stages.registry import rollback

    typer.echo(rollback.rollback(case or _case(), to=version, stage=stage, reason=reason, push=push))


@app.command()
def fetch(
    version: Annotated[str, typer.Argument(metavar="VERSION|STAGE", help="Such as v1.2.0, or prod.")],
    *,
    out: Annotated[Path, typer.Option(help="The folder to put it in.")] = Path(),
    require_signed: Annotated[
        bool, typer.Option("--require-signed", help="Only from a tag whose signature is good.")
    ] = False,
    case: Name = None,
) -> None:
    """Bring the model file of a version, checked against its tag."""
    from stages.registry import fetch

    typer.echo(fetch.fetch(case or _case(), version, out=out, require_signed=require_signed))


@app.command()
def restore(
    version: Annotated[str, typer.Argument(help="Such as v1.2.0, or prod.")],
    *,
    case: Name = None,
    push: Push = False,
) -> None:
    """Make a version's model again, from its tag, and prove that it is the same."""
    from stages.registry import restore

    typer.echo(restore.restore(case or _case(), version, push=push))


@app.command()
def verify(rev: Annotated[str, typer.Argument(help="The commit to verify.")] = "HEAD") -> None:
    """Reproduce a commit from nothing and prove that its results are what it says."""
    from stages.registry import verify

    typer.echo(verify.verify(rev))


def _case() -> str:
    """The current case."""
    from stages.common import strict_yaml
    from stages.common.params import PARAMS

    return str(strict_yaml.load(PARAMS)["case"])


def main() -> None:
    """Run the command: bad input ends in one line and exit status 1."""
    from stages.common.errors import run

    run(app)


if __name__ == "__main__":
    main()
