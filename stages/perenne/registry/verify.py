"""Verify: a commit's results are what it makes from nothing, and its model never met the holdout.

Nothing that a commit holds is taken for true: not its metrics, not its model, not its own code's word. But
its code is run: whoever wrote it can do here what they like, and a review comes first.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path, PurePath
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from perenne.common import batches, git, params, periods, strict_yaml
from perenne.common.contract import Contract, read_contract
from perenne.common.errors import PerenneError
from perenne.common.names import CLEAN, DAG, HOLDOUT, LOCK, MODEL, TRAIN
from perenne.registry import costs
from perenne.registry.reproduce import Environment, checkout, dvc, environment, run, shown

CONTRACT = "data/cases/*/contract.yaml"

STALE = f"{LOCK} is not of this commit: run dvc repro and commit it"


def verify(rev: str = "HEAD") -> str:
    """Reproduce a commit from nothing and prove its results; return what is proven, in one line.

    Raises
    ------
    PerenneError
        If anything differs: what it is, one line each.

    """
    commit = git.commit(rev)
    with checkout(commit) as folder:
        env = environment(folder)
        names = stages(folder, env)
        _none([*stale(folder, env, names), *gone(folder, names)])
        _none([*exempt(folder), *other_data(folder, commit)])
        measured = run(folder, env)
        lock = git.show(commit, LOCK)
        found = differences(lock, (folder / LOCK).read_bytes()) + mixed(folder)
        _none(found + dependent(folder, env, commit))
    costs.record(lock, measured)
    return f"{rev} ({commit[:7]}) is proven: it makes {LOCK} byte for byte, and {MODEL} of {TRAIN} alone"


def _none(found: list[str]) -> None:
    if found:
        raise PerenneError("\n       ".join(found))


def stages(folder: Path, env: Environment) -> list[str]:
    """The stages of a clone by name, as DVC makes them of its `dvc.yaml`."""
    return dvc(folder, env, "stage", "list", "--name-only").split()


def stale(folder: Path, env: Environment, names: list[str]) -> list[str]:
    """What the stages are, do, or are told that is not what the commit's lock says; nothing is run for it."""
    if not (folder / LOCK).exists():
        return [STALE]
    status = json.loads(dvc(folder, env, "status", "--json"))
    known = _locked(folder)
    found = [name for name in names if name not in known]
    for stage in names:
        for change in status.get(stage, []):
            if isinstance(change, dict):
                deps = change.get("changed deps", {})
                found += [f"{stage}: {dep}" for dep, how in deps.items() if how != "deleted"]
            elif change == "changed command":
                found.append(f"{stage}: cmd")
    return [f"{STALE} ({', '.join(found)})"] if found else []


def gone(folder: Path, names: list[str]) -> list[str]:
    """The entries of the lock that no stage stands behind: DVC keeps them, so they would prove themselves."""
    left = sorted(_locked(folder).keys() - set(names)) if (folder / LOCK).exists() else []
    return [f"{LOCK}: {name} is no stage of {DAG} any more; remove it there too" for name in left]


def exempt(folder: Path) -> list[str]:
    """The stages that a forced run would leave out (frozen), or that name their files from elsewhere."""
    dag = strict_yaml.load(folder / DAG).get("stages", {})
    return [
        f"{DAG}: {name}: {key} exempts it from being verified; remove it"
        for name, stage in dag.items()
        for key in ("frozen", "wdir")
        if key in stage or key in stage.get("do", {})
    ]


def other_data(folder: Path, commit: str) -> list[str]:
    """The deps of the model's stage that are data: all but the training rows, the contract, and code."""
    name, stage = _training(folder)
    tracked = _tracked(commit)
    made = {path for other in _locked(folder).values() for path in _files(other, "outs")}
    return [
        f"{DAG}: {name}: the model may depend on no data but {TRAIN}, and not on {path}"
        for path in _read(stage)
        if path != str(TRAIN) and (path in made or _is_data(path) or Path(path) not in tracked)
    ]


def _is_data(path: str) -> bool:
    return path.split("/")[0] == "data" and not PurePath(path).match(CONTRACT)


def differences(before: bytes, after: bytes) -> list[str]:
    """Which outputs a commit's lock tells of otherwise than the lock that a run from nothing has left."""
    if before == after:
        return []
    old, new = (strict_yaml.loads(text.decode(), str(LOCK))["stages"] for text in (before, after))
    found = [
        f"{name}: {path} is not what the commit reproduces"
        for name, stage in old.items()
        for path, file in _files(stage, "outs").items()
        if file != _files(new.get(name, {}), "outs").get(path)
    ]
    return found or [STALE]


def mixed(folder: Path) -> list[str]:
    """What of the holdout's periods the training rows hold: told by the rows, whatever made them."""
    with chdir(folder):
        p = params.load("split")
        contract = read_contract(p.case)
        as_of = periods.parse(p.split.as_of, contract.period, "params.yaml: split.as_of")
        return list(_mixed(contract, as_of, as_of - p.split.holdout))


def _mixed(contract: Contract, as_of: pd.Period, known: pd.Period) -> Iterator[str]:
    """Of the clone that is the current folder; `known` is the last period before the holdout."""
    ends = {}
    for path in (TRAIN, HOLDOUT):
        if not path.exists():
            yield f"{path}: no stage makes it"
            return
        if not pq.read_schema(path).equals(batches.schema(contract)):
            yield f"{path}: its columns are not those of the contract"
            return
        of = periods.of(
            pq.read_table(path, columns=[contract.time])[contract.time].to_pandas(), contract.period
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
    """How many different training rows are in no clean batch: made up, or given another time."""
    files = [path for period, path in batches.listed(CLEAN, contract).items() if first <= period <= last]
    rows = pq.read_table(TRAIN)
    tables = [rows, *(pq.read_table(path, schema=rows.schema, partitioning=None) for path in files)]
    known = [False, *(True for _ in files)]
    marked = [t.append_column("known", pa.array([k] * len(t))) for t, k in zip(tables, known, strict=True)]
    each = pa.concat_tables(marked).group_by(rows.column_names).aggregate([("known", "any")])
    return sum(not found for found in each["known_any"].to_pylist())


def dependent(folder: Path, env: Environment, commit: str) -> list[str]:
    """What shows that the model needs more than its stage declares; nothing else is left in the clone.

    A stage that reads the holdout without saying so fails then, or makes another model.
    """
    name, stage = _training(folder)
    made = _sha256(folder / MODEL)
    _leave(folder, stage, commit)
    commands = stage["cmd"] if isinstance(stage["cmd"], list) else [stage["cmd"]]
    failed = shown(["/bin/sh", "-ec", "\n".join(commands)], folder, env)
    if failed:
        return [
            f"{name}: fails where there is nothing but what it declares: {failed[-1].removeprefix('error: ')}"
        ]
    if not (folder / MODEL).exists() or _sha256(folder / MODEL) != made:
        return [f"{name}: makes another {MODEL} where there is nothing but what it declares"]
    return []


def _leave(folder: Path, stage: dict[str, Any], commit: str) -> None:
    """Empty a clone but for its environment, the training rows, and what the stage declares of the code."""
    rows = (folder / TRAIN).rename(folder.parent / TRAIN.name)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            if path.name != ".venv":
                shutil.rmtree(path)
        else:
            path.unlink()
    declared = {DAG, *map(Path, _read(stage))} - {TRAIN}
    # What makes a folder a package runs too, and need not be declared where it holds nothing.
    packages = {parent / "__init__.py" for path in declared for parent in path.parents}
    for path in declared | (packages & _tracked(commit)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(git.show(commit, path))
    (folder / TRAIN).parent.mkdir(parents=True, exist_ok=True)
    rows.rename(folder / TRAIN)


def _training(folder: Path) -> tuple[str, dict[str, Any]]:
    """The stage that makes the model, by the clone's lock, and its name."""
    for name, stage in _locked(folder).items():
        if str(MODEL) in _files(stage, "outs"):
            return name, stage
    raise PerenneError(f"{LOCK}: no stage makes {MODEL}")


def _locked(folder: Path) -> dict[str, dict[str, Any]]:
    stages: dict[str, dict[str, Any]] = strict_yaml.load(folder / LOCK)["stages"]
    return stages


def _files(stage: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """The deps or the outputs of a stage in a lock, by path."""
    return {entry["path"]: entry for entry in stage.get(kind, [])}


def _read(stage: dict[str, Any]) -> list[str]:
    """The files that a stage in a lock depends on, those with params among them."""
    return [*_files(stage, "deps"), *stage.get("params", {})]


def _tracked(commit: str) -> set[Path]:
    """The files of a commit, relative to the project."""
    return {Path(name) for name in git.git("ls-tree", "-r", "--name-only", "-z", commit).split("\0")}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
