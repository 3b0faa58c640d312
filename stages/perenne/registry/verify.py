"""Verify: a clean rerun of a commit gives its results, and its model never used the holdout.

Nothing in a commit is trusted: neither its metrics nor its model. But its code is run with the rights of the
user, so read the code first.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path, PurePath

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from perenne.common import batches, git, locked, params, periods, strict_yaml
from perenne.common.contract import Contract, read_contract
from perenne.common.errors import PerenneError
from perenne.common.locked import LockedStage
from perenne.common.names import CLEAN, DAG, HIDDEN, HOLDOUT, LOCK, MODEL, TRAIN
from perenne.registry import costs
from perenne.registry.reproduce import Environment, checkout, dvc, environment, run, shown

CONTRACT = "data/cases/*/contract.yaml"

KNOWN = f"{HIDDEN}known"  # a column beside those of the contract
STALE = f"{LOCK} is not of this commit: run dvc repro and commit it"


def verify(rev: str = "HEAD") -> str:
    """Rerun a commit in a clean clone and prove its results; return what is proven, in one line.

    The costs of the stages are recorded in the local notes, unless they have costs of this `dvc.lock`
    already.

    Parameters
    ----------
    rev
        The commit. Its code is run with the rights of the user.

    Raises
    ------
    PerenneError
        If anything differs, one line each.

    """
    commit = git.commit(rev)
    with checkout(commit) as folder:
        env = environment(folder)
        names = stages(folder, env)
        _raise([*stale(folder, env, names), *gone(folder, names)])
        _raise([*exempt(folder), *other_data(folder, commit)])
        measured = run(folder, env)
        lock = git.show(commit, LOCK)
        findings = differences(lock, (folder / LOCK).read_bytes()) + mixed(folder)
        _raise(findings + dependent(folder, env, commit))
    costs.record(lock, measured)
    return f"{rev} ({commit[:7]}) is proven: it makes {LOCK} byte for byte, and {MODEL} of {TRAIN} alone"


def _raise(findings: list[str]) -> None:
    """Raise the findings as one error, if there are any."""
    if findings:
        raise PerenneError("\n       ".join(findings))


def stages(folder: Path, env: Environment) -> list[str]:
    """Return the names of a clone's stages, as DVC reads them from its `dvc.yaml`."""
    return dvc(folder, env, "stage", "list", "--name-only").split()


def stale(folder: Path, env: Environment, names: list[str]) -> list[str]:
    """Return how the stages, their commands or inputs differ from the commit's lock; no stage is run.

    Parameters
    ----------
    folder
        The project's folder in a clone.
    env
        From `reproduce.environment`.
    names
        From `stages`.

    Returns
    -------
    list of str
        Empty if nothing differs, else one line.

    """
    if not (folder / LOCK).exists():
        return [STALE]
    status = json.loads(dvc(folder, env, "status", "--json"))
    known = _locked(folder)
    changed = [name for name in names if name not in known]
    for stage in names:
        for change in status.get(stage, []):
            if isinstance(change, dict):
                deps = change.get("changed deps", {})
                changed += [f"{stage}: {dep}" for dep, how in deps.items() if how != "deleted"]
            elif change == "changed command":
                changed.append(f"{stage}: cmd")
    return [f"{STALE} ({', '.join(changed)})"] if changed else []


def gone(folder: Path, names: list[str]) -> list[str]:
    """Return the entries of the lock without a stage: DVC keeps them, so they would prove themselves."""
    left = sorted(_locked(folder).keys() - set(names)) if (folder / LOCK).exists() else []
    return [f"{LOCK}: {name} is not a stage of {DAG} any more; remove it there too" for name in left]


def exempt(folder: Path) -> list[str]:
    """Return the stages that a forced run would skip (frozen), or that run in another folder (wdir)."""
    dag = strict_yaml.load(folder / DAG).get("stages", {})
    return [
        f"{DAG}: {name}: {key} exempts it from being verified; remove it"
        for name, stage in dag.items()
        for key in ("frozen", "wdir")
        if key in stage or key in stage.get("do", {})
    ]


def other_data(folder: Path, commit: str) -> list[str]:
    """Return the deps of the model's stage that are neither training rows, contract nor committed code.

    Parameters
    ----------
    folder
        The project's folder in a clone of the commit.
    commit
        The commit: its files count as code.

    Returns
    -------
    list of str
        One line for each such dep.

    Raises
    ------
    PerenneError
        If no stage of the clone's lock makes the model.

    """
    name, stage = _training(folder)
    tracked = _tracked(commit)
    made = {path for other in _locked(folder).values() for path in other.outs}
    return [
        f"{DAG}: {name}: the model may depend on no data but {TRAIN}, and not on {path}"
        for path in stage.reads
        if path != str(TRAIN) and (path in made or _is_data(path) or Path(path) not in tracked)
    ]


def _is_data(path: str) -> bool:
    return path.split("/")[0] == "data" and not PurePath(path).match(CONTRACT)


def differences(before: bytes, after: bytes) -> list[str]:
    """Return the outputs that differ between a commit's lock and the lock of a clean rerun.

    Parameters
    ----------
    before, after
        The text of `dvc.lock` in the commit and after the rerun.

    Returns
    -------
    list of str
        One line for each output. If the locks differ but no output does, one line says so of the whole lock.

    """
    if before == after:
        return []
    old, new = (
        locked.loads(text.decode(), rev).stages
        for text, rev in ((before, "the commit"), (after, "the rerun"))
    )
    changed = [
        f"{name}: {path} is not what the commit reproduces"
        for name, stage in old.items()
        for path, file in stage.outs.items()
        if name not in new or file != new[name].outs.get(path)
    ]
    return changed or [STALE]


def mixed(folder: Path) -> list[str]:
    """Return how the training rows and the holdout overlap or differ from the clean data, by their rows.

    Parameters
    ----------
    folder
        The project's folder in a clone whose stages were run.

    Returns
    -------
    list of str
        One line for each finding; empty if there is none.

    Raises
    ------
    PerenneError
        If the clone's params or contract cannot be read.

    """
    with chdir(folder):
        p = params.load("split")
        contract = read_contract(p.case)
        as_of = periods.parse(p.split.as_of, contract.period, "params.yaml: split.as_of")
        return list(_mixed(contract, as_of, as_of - p.split.holdout))


def _mixed(contract: Contract, as_of: pd.Period, known: pd.Period) -> Iterator[str]:
    """As `mixed`, in the current folder; `known` is the last period before the holdout."""
    ends = {}
    for path in (TRAIN, HOLDOUT):
        if not path.exists():
            yield f"{path}: no stage makes it"
            return
        if not pq.read_schema(path).equals(batches.schema(contract)):
            yield f"{path}: its columns are not those of the contract"
            return
        of = periods.of(
            pq.read_table(path, columns=[contract.time])[contract.time].to_pandas(),
            contract.period,
            contract.zone,
        )
        if not len(of) or of.isna().any():
            yield f"{path}: every row must have its {contract.time}, and one must be there"
            return
        ends[path] = of.min(), of.max()
    late = f"with labels {contract.label_delay} period(s) late"
    if ends[TRAIN][1] + contract.label_delay > known:
        yield f"{TRAIN}: goes to {ends[TRAIN][1]}, {late}; the holdout begins after {known}"
    if ends[HOLDOUT][0] <= known:
        yield f"{HOLDOUT}: begins in {ends[HOLDOUT][0]}, must begin after {known}"
    if ends[HOLDOUT][1] + contract.label_delay > as_of:
        yield f"{HOLDOUT}: goes to {ends[HOLDOUT][1]}, {late} beyond as_of, {as_of}"
    strangers = _strangers(contract, *ends[TRAIN])
    if strangers:
        yield f"{TRAIN}: {strangers} row(s) are not among those of their periods in {CLEAN}"


def _strangers(contract: Contract, first: pd.Period, last: pd.Period) -> int:
    """How many distinct training rows are in no clean batch: invented, or given another time."""
    files = [path for period, path in batches.listed(CLEAN, contract).items() if first <= period <= last]
    rows = pq.read_table(TRAIN)
    tables = [rows, *(pq.read_table(path, schema=rows.schema, partitioning=None) for path in files)]
    known = [False, *(True for _ in files)]
    marked = [t.append_column(KNOWN, pa.array([k] * len(t))) for t, k in zip(tables, known, strict=True)]
    each = pa.concat_tables(marked).group_by(rows.column_names).aggregate([(KNOWN, "any")])
    return sum(not known for known in each[f"{KNOWN}_any"].to_pylist())


def dependent(folder: Path, env: Environment, commit: str) -> list[str]:
    """Return what shows that the model's stage reads more than it declares.

    It is rerun with nothing else in the clone. A stage that secretly reads the holdout then fails, or makes
    another model.

    Parameters
    ----------
    folder
        The project's folder in a clone whose stages were run. All is deleted from it but its environment, the
        training rows and the declared code, so this check comes last.
    env
        From `reproduce.environment`.
    commit
        The commit that the declared files are read from.

    Returns
    -------
    list of str
        One line, or none.

    Raises
    ------
    PerenneError
        If no stage of the clone's lock makes the model, or a declared file is not in the commit.

    """
    name, stage = _training(folder)
    made = _sha256(folder / MODEL)
    _leave(folder, stage, commit)
    failed = shown(["/bin/sh", "-ec", "\n".join(stage.commands)], folder, env)
    if failed:
        return [
            f"{name}: fails where there is nothing but what it declares: {failed[-1].removeprefix('error: ')}"
        ]
    if not (folder / MODEL).exists() or _sha256(folder / MODEL) != made:
        return [f"{name}: makes another {MODEL} where there is nothing but what it declares"]
    return []


def _leave(folder: Path, stage: LockedStage, commit: str) -> None:
    """Empty a clone except for its environment, the training rows, and the code that the stage declares."""
    rows = (folder / TRAIN).rename(folder.parent / TRAIN.name)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            if path.name != ".venv":
                shutil.rmtree(path)
        else:
            path.unlink()
    declared = {DAG, *map(Path, stage.reads)} - {TRAIN}
    # An `__init__.py` runs too; it need not be declared where it is empty.
    packages = {parent / "__init__.py" for path in declared for parent in path.parents}
    for path in declared | (packages & _tracked(commit)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(git.show(commit, path))
    (folder / TRAIN).parent.mkdir(parents=True, exist_ok=True)
    rows.rename(folder / TRAIN)


def _training(folder: Path) -> tuple[str, LockedStage]:
    """The name of the stage that makes the model, and the stage, by the clone's lock."""
    for name, stage in _locked(folder).items():
        if str(MODEL) in stage.outs:
            return name, stage
    raise PerenneError(f"{LOCK}: no stage makes {MODEL}")


def _locked(folder: Path) -> dict[str, LockedStage]:
    return locked.loads((folder / LOCK).read_text(encoding="utf-8"), "the clone").stages


def _tracked(commit: str) -> set[Path]:
    """The files of a commit, relative to the project."""
    return {Path(name) for name in git.git("ls-tree", "-r", "--name-only", "-z", commit).split("\0")}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
