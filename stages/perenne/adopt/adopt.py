"""From files to a case: place them, check every batch, reproduce the pipeline, and say how it went."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from tabulate import tabulate
from tqdm import tqdm

from perenne.adopt.study import Studied, slug
from perenne.cases import files
from perenne.cases.reading import KINDS
from perenne.cases.reading.kinds import BY_ENDING
from perenne.cases.reading.packed import parts
from perenne.cases.source import NULLABLE
from perenne.common import current
from perenne.common.contract import read_contract
from perenne.common.errors import PerenneError, hint
from perenne.common.names import CASES, DAG, DRIFT, EVALUATION, INCOMING, PARAMS
from perenne.common.params import read_params
from perenne.documents.drift import DriftReport
from perenne.documents.evaluation import Evaluation, MeasuredMetric
from perenne.pipeline import ingest, validate
from perenne.stats.metrics import METRICS

NAMES = {"roc_auc": "AUC"}  # of metrics, where people call them otherwise
HIDDEN = (".", "~$")  # names of files that nobody has put there
TRACKED = ".dvc"  # the ending of the file beside one that DVC tracks
ROOM = 2.0  # times the share of bad rows that was found: the next batch may have as many


class Broken(NamedTuple):
    """A rule that rows break: in how many batches, how many rows, and a value of one."""

    rule: str
    batches: int
    rows: int
    value: str


def listed(given: list[Path]) -> list[Path]:
    """The files that are named, with those in folders; in the order of their names.

    Raises
    ------
    PerenneError
        If one is not there, is not of a kind that is read, has a name that cannot be printed, or two have the
        same name.

    """
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and _counts(p))
            if not inside:
                raise PerenneError(f"{path}: holds no file that can be read; put {', '.join(KINDS)} there")
            found += _of_one_kind(path, inside)
        elif path.is_symlink() and not path.exists():
            raise PerenneError(f"{path}: is a link to a file that is not there; name the file itself")
        elif not path.exists():
            near = [str(p) for p in path.parent.glob("*")] if path.parent.is_dir() else []
            raise PerenneError(f"{path}: no such file; {hint(path, near)}")
        elif path.name.startswith(HIDDEN):
            raise PerenneError(f"{path}: is hidden by its name; give it another one")
        elif not path.name.lower().endswith(KINDS):
            raise PerenneError(f"{path}: not a file this reads; use {', '.join(KINDS)}")
        elif not path.is_file():
            raise PerenneError(f"{path}: is not a regular file; save what it holds, and name that file")
        else:
            found.append(path)
    odd = next((path for path in found if not path.name.isprintable()), None)
    if odd:
        raise PerenneError(f"{str(odd)!a}: its name cannot be printed; rename it")
    names = Counter(path.name for path in found)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice:
        raise PerenneError(f"{twice}: two files have this name; give them different ones")
    return found


def _of_one_kind(folder: Path, paths: list[Path]) -> list[Path]:
    """The files of a folder; a `.txt` beside others is a note on them.

    Raises
    ------
    PerenneError
        If they are of several kinds: some are not of the case.

    """
    data = [path for path in paths if path.suffix.lower() != ".txt"] or paths
    kinds = {parts(path)[0].kind for path in data if path.suffix.lower() != ".zip"}
    if len({BY_ENDING.get(kind) for kind in kinds}) > 1:
        names = ", ".join(path.name for path in data)
        raise PerenneError(f"{folder}: holds files of several kinds ({names:.200}); name those of the case")
    return data


def ahead(studied: Studied, now: datetime) -> str | None:
    """What to say of times that are still to come; None if there are none."""
    last = studied.cut.through
    if last.start_time <= now.replace(tzinfo=None):
        return None
    return f"rows lie in {last}, which is still to come: is that when they were?"


def _counts(path: Path) -> bool:
    """Whether a file of a folder is one of those to read: hidden ones and the locks of Excel are not."""
    return path.name.lower().endswith(KINDS) and not path.name.startswith(HIDDEN)


def delivered(paths: list[Path]) -> str | None:
    """The case in whose folder files already are, as `dvc import-db` puts them; None if they are elsewhere.

    Raises
    ------
    PerenneError
        If that folder holds others as well, or its name is none of a case.

    """
    folders = {path.absolute().parent for path in paths}
    folder = folders.pop()
    if folders or folder.parent != INCOMING.absolute():
        return None
    shown = INCOMING / folder.name
    if slug(Path(folder.name)) != folder.name:
        raise PerenneError(
            f"{shown}: names a case, which is in small letters, digits and hyphens, such as "
            f"{slug(Path(folder.name))}; move the files to such a folder"
        )
    others = {path.name for path in listed([shown])} - {path.name for path in paths}
    if others:
        raise PerenneError(f"{shown}: holds {min(others)} as well; name the folder, or move that file")
    return folder.name


def must_be_free(case: str, *, delivered: bool) -> None:
    """Refuse a case that is there, a folder that is no project, and params that cannot be put back.

    Parameters
    ----------
    case
        Its name.
    delivered
        Its files are there.

    Raises
    ------
    PerenneError
        Says what would do.

    """
    if not DAG.exists():
        raise PerenneError(f"{DAG}: not here; run this in the folder of a project")
    for folder in (CASES / case, *([] if delivered else [INCOMING / case])):
        if folder.exists():
            raise PerenneError(f"{folder}: is there already; --name gives the case another name")
    current.current()  # it knows whose the params at the root are, or refuses


@contextmanager
def placed(studied: Studied, paths: list[Path]) -> Iterator[None]:
    """Write the case and copy its files; if the block ends with an error, all of it is removed again.

    `paths` is empty if the files are there.
    """
    case, incoming = CASES / studied.name, INCOMING / studied.name
    try:
        case.mkdir(parents=True)
        (case / "contract.yaml").write_text(studied.contract, encoding="utf-8")
        (case / "params.yaml").write_text(studied.params, encoding="utf-8")
        if paths:
            incoming.mkdir(parents=True)
        for path in paths:
            shutil.copyfile(path, incoming / path.name)
        yield
    except BaseException:
        shutil.rmtree(case, ignore_errors=True)
        if paths:
            shutil.rmtree(incoming, ignore_errors=True)
        raise


def checked(case: str) -> tuple[list[Broken], float]:
    """Read and validate all batches of a case, writing nothing.

    Returns
    -------
    tuple
        Every rule that rows break, the commonest first, and the largest share of bad rows in a batch.

    Raises
    ------
    PerenneError
        If the files cannot be read by the contract.

    """
    contract, p = read_contract(case), read_params(CASES / case / PARAMS)
    source = files.Files.model_validate(p.ingest.model_dump()).of_case(case)
    found: dict[str, list[tuple[int, str]]] = {}
    worst = 0.0
    arrived = list(tqdm(ingest.ingest(source, contract), desc="read", unit="batch", disable=None))
    through = max(period for period, _ in arrived)
    for period, frame in tqdm(arrived, desc="check", unit="batch", disable=None):
        raw = ingest.table(frame, contract).to_pandas(types_mapper=NULLABLE.get)
        one = validate.validate(raw, period, contract, matured=period + contract.label_delay <= through)
        worst = max(worst, one.broken["row"].nunique() / max(len(raw), 1))
        for (column, rule), rows in one.broken.groupby(["column", "rule"]):
            found.setdefault(f"{column}: {rule}", []).append((len(rows), str(rows["value"].iloc[0])))
    table = [Broken(r, len(n), sum(rows for rows, _ in n), n[0][1]) for r, n in found.items()]
    return sorted(table, key=lambda one: -one.rows), worst


def allow(case: str, worst: float) -> None:
    """Let the params of a case allow as many bad rows as there are, with room for as many again."""
    path = CASES / case / PARAMS
    text = path.read_text(encoding="utf-8")
    share = read_params(path).validation.max_quarantined_share
    if worst > share:
        more = math.ceil(min(1.0, ROOM * worst) * 100) / 100
        path.write_text(text.replace(f"share: {share:g} #", f"share: {more:g} #"), encoding="utf-8")


def repro() -> None:
    """Run `dvc repro`, and show what it prints.

    Raises
    ------
    PerenneError
        If a stage fails; it has said why.

    """
    if _dvc("repro"):
        raise PerenneError("dvc repro failed, as said above; correct it there, and run dvc repro again")


def keep(case: str) -> None:
    """Give the case's files to DVC, but for those that it has imported.

    Raises
    ------
    PerenneError
        If DVC does not take them.

    """
    named = sorted(p for p in (INCOMING / case).iterdir() if p.suffix != TRACKED and p.name[0] != ".")
    paths = [str(path) for path in named if not path.with_name(path.name + TRACKED).exists()]
    if not paths:
        return
    # DVC reads dvc.yaml even to add a file, and that asks for the case: a new project has no params yet.
    first = not PARAMS.exists()
    try:
        if first:
            shutil.copyfile(CASES / case / PARAMS, PARAMS)
        failed = _dvc("add", "--quiet", *paths)
    finally:  # after Ctrl-C, too: it would name a case that is taken back
        if first:
            PARAMS.unlink(missing_ok=True)
    if failed:
        raise PerenneError(f"dvc add {paths[0]} failed, as said above")


def _dvc(*arguments: str) -> int:
    sys.stdout.flush()
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], check=False, env=env).returncode  # noqa: S603 -- no shell


def summary(case: str) -> str:
    """One line: how good the model is on validation, and what drift says."""
    measured, drift = Evaluation.load(EVALUATION), DriftReport.load(DRIFT)
    contract = read_contract(case)
    names = contract.task.metrics
    # How good a model is, most people read from a figure of which more is better.
    shown = [next(name for name in names if METRICS[name].goal.better == "higher")]
    several = contract.task.outcome == "class"
    if several:  # with many classes, no figure alone says it
        shown = [names[0], *shown]
    said = ", ".join(
        _figure(_named(name, several=several), measured.validation.metrics[name]) for name in shown
    )
    folds = len(measured.folds)
    return (
        f"{said}, validated on {folds} folds ({measured.validation.rows:,} rows); drift: {drift.advice.level}"
    )


def _named(metric: str, *, several: bool) -> str:
    """What people call a metric; that of several classes is a mean over them."""
    name = NAMES.get(metric, metric.replace("_", " "))
    return f"macro {name}" if several and metric in NAMES else name


def _figure(name: str, metric: MeasuredMetric) -> str:
    def short(value: float | None) -> str:
        return "-" if value is None else f"{value:.3g}".replace("0.", ".", 1)

    interval = f" [{short(metric.low)}, {short(metric.high)}]" if metric.low is not None else ""
    return f"{name} {short(metric.value)}{interval} (dummy {short(metric.dummy)})"


def broken_table(broken: list[Broken]) -> str:
    """The rules that rows break, as a table for people."""
    rows = [(one.rule, one.batches, one.rows, one.value) for one in broken]
    return tabulate(rows, ["rule", "batches", "rows", "such as"], tablefmt="plain", disable_numparse=True)


def units_table(studied: Studied) -> str:
    """What each unit of time would give, as a table for people."""
    events = studied.units[0].events is not None
    rows = [
        (f"{one.unit}{' *' * (one == studied.chosen)}", f"{one.batches:,}", f"{one.rows:,.0f}")
        + ((f"{one.events:,.0f}",) if one.events is not None else ())
        for one in studied.units
    ]
    column = "of the rarest class" if studied.cut.classes else "events"
    header = ["period", "batches", "rows", *[column] * events]
    return tabulate(rows, header, tablefmt="plain", disable_numparse=True)
