"""The two files of a case as people read them: its contract, one column a line, and its starting params."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from string import Template

import yaml

from perenne.adopt.columns import Guess
from perenne.adopt.cutting import Batching, Cutting
from perenne.common import strict_yaml
from perenne.common.periods import Unit
from perenne.common.reading import Read
from perenne.common.task import Task


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.1 or 1.2 reads as something else than a text: `1e3` is a number in one of them."""


for _first, _resolvers in strict_yaml.Loader.yaml_implicit_resolvers.items():
    for _tag, _pattern in _resolvers:
        _Dumper.add_implicit_resolver(_tag, _pattern, [_first])

NUMBER = re.compile("[0-9]+")
WIDE = 100  # features: with more, ranking them takes longer than all else
LEAST_RUN = 5  # columns that are put together
TINY, MOST_ROWS = 1000, 30_000  # rows up to which trees are few, and small
MOST_FOLDS = 4
PER_FOLD = 5  # rows of the rarest of several classes, so that some of them are before each fold
Z = 2.5  # standard errors of a measurement that a tolerance has to leave room for


def contract(
    name: str,
    files: str,
    task: Task,
    unit: Batching,
    cut: Cutting,
    columns: Mapping[str, Guess],
    read: Read,
    zone: str | None,
) -> str:
    """The text of `contract.yaml`.

    Parameters
    ----------
    name, files
        Of the case, and what a comment calls the files.
    task, unit, cut
        What is predicted, and how history is cut.
    columns
        In the order of the file.
    read, zone
        How the files are written, and whose clocks cut time.

    """
    rarest = "rarest" if cut.classes else "rarer"
    events = f", {unit.events:,.0f} of the {rarest} class" if unit.events is not None else ""
    lines = [
        f"# What a row of {name} is, as `perenne adopt` found it in {files}. Correct what is wrong.",
        "",
        f"row: {_yaml(f'one row of {files}')}",
        f"task: {task}",
        f"period: {unit.unit} # {unit.batches} batches; half have {unit.rows:,.0f} rows or more{events}",
        f"label_delay: {cut.label_delay} # in {unit.unit}s: so long a label may be missing",
        *([f"zone: {zone} # whose clocks cut time into periods"] if zone else []),
        *_read(read),
        "",
        "columns:",
        *(f"  {_yaml(column)}: {_guess(guess)}" for column, guess in runs(columns).items()),
    ]
    return "\n".join([*lines, ""])


def runs(columns: Mapping[str, Guess]) -> dict[str, Guess]:
    """Columns that differ in a number that counts up, as one: `x {01..24}`; its range holds for all.

    Parameters
    ----------
    columns
        In the order of the file; only neighbours are put together.

    """
    found: dict[str, Guess] = {}
    names = list(columns)
    while names:
        run = _run(names, columns)
        first, last = names[0], names[len(run) - 1]
        if len(run) < LEAST_RUN:
            found[first] = columns[first]
            names = names[1:]
            continue
        begin, end, low, high = _counter(first, last)
        found[f"{first[:begin]}{{{low}..{high}}}{first[end:]}"] = _joint([columns[name] for name in run])
        names = names[len(run) :]
    return found


def _run(names: list[str], columns: Mapping[str, Guess]) -> list[str]:
    """The first names that count up by one, of columns that are alike but for their ranges."""
    digits = [(m.start(), m.end(), m[0]) for m in NUMBER.finditer(names[0])]
    best = names[:1]
    for begin, end, number in digits:
        run = names[:1]
        for step, name in enumerate(names[1:], 1):
            following = f"{names[0][:begin]}{int(number) + step:0{end - begin}d}{names[0][end:]}"
            if name != following or _alike(columns[name]) != _alike(columns[names[0]]):
                break
            run.append(name)
        best = max(best, run, key=len)
    return best


def _alike(guess: Guess) -> Guess:
    return replace(guess, range=None) if guess.range else guess


def _counter(first: str, last: str) -> tuple[int, int, str, str]:
    """Where two names of a run differ, and the numbers there."""
    for one in NUMBER.finditer(first):
        other = NUMBER.match(last, one.start())
        if other and other[0] != one[0]:
            return one.start(), one.end(), one[0], other[0]
    raise AssertionError(first, last)  # pragma: no cover -- names of a run differ


def _joint(guesses: list[Guess]) -> Guess:
    ranges = [guess.range for guess in guesses if guess.range]
    edges = [float(edge) for pair in ranges for edge in pair if not isinstance(edge, str)]
    if not edges:
        return guesses[0]
    low, high = min(edges), max(edges)
    first, last = (int(edge) if edge == int(edge) else edge for edge in (low, high))
    return replace(guesses[0], range=(first, last))


def in_words(read: Read) -> str:
    """How files are written, on one line; empty if in the usual way.

    >>> in_words(Read(delimiter=";", decimal=","))
    "delimiter ;, decimal ','"
    """
    given = read.model_dump(exclude_defaults=True, mode="json")
    return ", ".join(f"{key} {_yaml(value)}" for key, value in given.items())


def _read(read: Read) -> list[str]:
    given = read.model_dump(exclude_defaults=True, mode="json")
    return (
        ["", "read: # how the files are written", *(f"  {k}: {_yaml(v)}" for k, v in given.items())]
        if given
        else []
    )


def _guess(guess: Guess) -> str:
    role = guess.role[0] if len(guess.role) == 1 else list(guess.role)
    given: dict[str, object] = {"type": guess.type, "role": role}
    if guess.values:
        given["values"] = list(guess.values)
    if guess.range:
        given["range"] = list(guess.range)
    if guess.missing:
        given["missing"] = True
    if guess.about:
        given["about"] = guess.about
    return _yaml(given)


def _yaml(value: object) -> str:
    """A value on one line, quoted where YAML needs it."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, allow_unicode=True, width=math.inf
    )
    return text.removesuffix("\n").removesuffix("\n...")


def params(name: str, task: Task, unit: Unit, cut: Cutting, features: int) -> str:
    """The text of `params.yaml`.

    Parameters
    ----------
    name, task, unit, cut, features
        Of the case; the last is how many there are.

    """
    measured = cut.judged if cut.events is None else cut.events
    error = Z / math.sqrt(max(measured, 1))
    small = cut.learned < MOST_ROWS
    # As many as there would be if all classes were as rare as the rarest: it needs leaves of its own.
    even = cut.classes * cut.fewest or cut.learned
    # Before the first fold comes a part as long as a fold, and each class is in it.
    most_folds = max(2, cut.fewest // PER_FOLD - 1) if cut.classes else MOST_FOLDS
    of = "rows" if cut.events is None else "rows of the rarest class" if cut.classes else "events"
    kind = "Classifier" if task.estimator == "classifier" else "Regressor"
    given = {
        "case": name,
        "unit": unit,
        "through": _yaml(str(cut.through)),
        "as_of": _yaml(str(cut.as_of)),
        "window": cut.window,
        "holdout": cut.holdout,
        "estimator": f"sklearn.ensemble.HistGradientBoosting{kind}",
        "rows": f"{cut.learned:,}",
        "learning_rate": 0.05 if small else 0.1,
        "max_iter": 150 if TINY <= cut.learned < MOST_ROWS else 100,
        "max_leaf_nodes": 8 if small else 31,
        "min_samples_leaf": int(min(100, max(10, even / 100))),
        "folds": min(MOST_FOLDS, most_folds, max(2, cut.window - 1)),
        "importance_rows": 5000 if features <= WIDE else 1000,
        "repeats": 3 if features <= WIDE else 1,
        "measures": f"{measured:,} {of} of the holdout",
        "calibration": _up(min(0.5, max(0.05, error))),
        "loss": _up(min(0.2, max(0.01, error / 5))),
        "ranking": _up(min(0.2, max(0.01, error / 5))),
        "metric": task.metrics[0],
        "min_blocks": int(max(25, cut.judged / 100)),
    }
    return Template(
        resources.files(__package__).joinpath("params.yaml").read_text(encoding="utf-8")
    ).substitute(given)


def _up(value: float) -> float:
    """Rounded up to two decimals.

    >>> _up(0.051), _up(0.05)
    (0.06, 0.05)
    """
    return math.ceil(round(value * 100, 6)) / 100
