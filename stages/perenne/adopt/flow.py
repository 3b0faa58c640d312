"""The steps of `perenne adopt`, and what it says at each."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import typer

from perenne.adopt import adopt as steps
from perenne.adopt.study import slug, study
from perenne.adopt.wishes import Wishes
from perenne.common import current, periods
from perenne.common.errors import PerenneError, hint
from perenne.common.names import CASES
from perenne.common.periods import Unit
from perenne.common.reading import Read
from perenne.common.typed import parse


def checked(given: Wishes) -> Wishes:
    """What the user has said, if it can be.

    Raises
    ------
    PerenneError
        Names the option, the value and what would be accepted.

    """
    if given.period is not None and given.period not in get_args(Unit):
        raise PerenneError(f"--period {given.period}: {hint(given.period, get_args(Unit))}")
    if given.name is not None and (other := slug(Path(given.name))) != given.name:
        raise PerenneError(
            f"--name {given.name}: must be in small letters, digits and hyphens, such as {other}"
        )
    if given.zone is not None:
        try:
            periods.zone(given.zone)
        except ValueError as error:
            raise PerenneError(f"--zone {error}") from None
    for key, value in (("dates", given.dates), ("encoding", given.encoding)):
        if value:
            parse(Read, {key: value}, "--" + key)
    return given


def asked(question: str, answers: Sequence[str], option: str) -> str:
    """The answer of whoever sits at the terminal; without one, which option gives it.

    Raises
    ------
    PerenneError
        If there is no terminal.

    """
    listed = " or ".join(answers)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise PerenneError(f"{question}: {listed}; {option} says which")
    import click

    answer: str = typer.prompt(f"{question}", type=click.Choice(list(answers)))
    return answer


def adopt(given: list[Path], wished: Wishes, *, run: bool) -> None:
    """Make a case of some files, and say what was found.

    Parameters
    ----------
    given
        Files, or folders of files.
    wished
        What the user has said.
    run
        Also run the pipeline.

    Raises
    ------
    PerenneError
        If something cannot be read or told; then nothing is left behind.

    """
    paths = steps.listed(given)
    there = steps.delivered(paths)
    if there and wished.name in (None, there):
        wished, new = wished._replace(name=there), list[Path]()
    else:
        new = paths
    steps.must_be_free(wished.name or slug(paths[0]), delivered=not new)
    studied = study(paths, wished, asked)
    with steps.placed(studied, new):
        broken, worst = steps.checked(studied.name)
        steps.allow(studied.name, worst)
        if studied.read:
            typer.echo(f"files are read so: {studied.read}")
        for note in studied.notes:
            typer.echo(note)
        if (late := steps.ahead(studied, datetime.now(UTC))) is not None:
            typer.echo(late)
        typer.echo(f"{steps.units_table(studied)}\n")
        if broken:
            typer.echo(f"rows that the contract sets aside:\n{steps.broken_table(broken)}\n")
        steps.keep(studied.name)
    typer.echo(f"{CASES / studied.name / 'contract.yaml'} says what a row is: correct what is wrong there")
    typer.echo(current.use(studied.name))
    if run:
        steps.repro()
        typer.echo(f"{steps.summary(studied.name)}; next: perenne gate")
