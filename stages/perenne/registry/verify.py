"""Verify: a clean rerun of a commit gives its results, and the model that is proven never used the holdout.

Nothing in a commit is trusted: neither its metrics nor its model. But its code is run with the rights of the
user, so read the code first.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

from perenne.common import git, locked, strict_yaml
from perenne.common.errors import PerenneError
from perenne.common.locked import LockedStage
from perenne.common.names import CARD, CLEAN, DAG, LOCK, MODEL, PARAMS, REFIT, RELEASED, TRAIN
from perenne.common.status import Status
from perenne.registry import costs, dag, imports, outside_deps
from perenne.registry.dag import Dag, StageOfDag
from perenne.registry.meter import Cost
from perenne.registry.parts import mixed
from perenne.registry.reproduce import Environment, checkout, dvc, environment, run, shown

CONTRACT = "data/cases/*/contract.yaml"

# What a model may be made of, beside code and contract. A project need not refit.
MADE_OF: Mapping[Path, tuple[Path, ...]] = {MODEL: (TRAIN,), RELEASED: (REFIT, MODEL, CARD)}

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
    UnprovenError
        If anything differs, one line each.
    PerenneError
        If that cannot be found out.

    """
    commit = git.commit(rev)
    with checkout(commit) as folder:
        pipeline = dag.read(folder)
        _raise(exempt(folder, pipeline))
        env = environment(folder)
        _raise([*stale(folder, env, pipeline), *gone(folder, pipeline)])
        _raise(other_data(folder, commit))
        measured = rerun(folder, env, pipeline)
        lock = git.show(commit, LOCK)
        findings = differences(lock, (folder / LOCK).read_bytes()) + mixed(folder)
        _raise(findings + dependent(folder, env, commit))
    costs.record(lock, measured)
    return f"{rev} ({commit[:7]}) is proven: it makes {LOCK} byte for byte, and {MODEL} of {TRAIN} alone"


class UnprovenError(PerenneError):
    """A commit is not what it claims to be; that is an answer, not a failure to find one."""

    status = Status.NOT_REPRODUCIBLE


def _raise(findings: list[str]) -> None:
    """Raise the findings as one error, if there are any."""
    if findings:
        raise UnprovenError("\n       ".join(findings))


def rerun(folder: Path, env: Environment, pipeline: Dag) -> dict[str, Cost]:
    """Delete all that the stages make, run every stage, and see that each has run; return what each cost.

    Parameters
    ----------
    folder
        The project's folder in a clone.
    env
        From `reproduce.environment`.
    pipeline
        The clone's pipeline.

    Raises
    ------
    PerenneError
        If a stage fails, or was not run, or one of its outputs is not there.

    """
    for path in pipeline.outs:
        if os.path.lexists(folder / path):
            _remove(folder / path)
    measured = run(folder, env)
    _raise([f"{name}: was not run" for name in pipeline.stages if name not in measured])
    _raise([f"{path}: was not made" for path in sorted(pipeline.outs) if not (folder / path).exists()])
    return measured


def stale(folder: Path, env: Environment, pipeline: Dag) -> list[str]:
    """Return how the stages, their commands or inputs differ from the commit's lock; no stage is run.

    Parameters
    ----------
    folder
        The project's folder in a clone.
    env
        From `reproduce.environment`.
    pipeline
        The clone's pipeline.

    Returns
    -------
    list of str
        Empty if nothing differs, else one line.

    """
    if not (folder / LOCK).exists():
        return [STALE]
    known = _locked(folder)
    changed = [name for name in pipeline.stages if name not in known]
    status = json.loads(dvc(folder, env, "status", "--json"))
    for stage in pipeline.stages:
        for change in status.get(stage, []):
            if isinstance(change, dict):
                deps = change.get("changed deps", {})
                changed += [f"{stage}: {dep}" for dep, how in deps.items() if how != "deleted"]
            elif change == "changed command":
                changed.append(f"{stage}: cmd")
        changed += [f"{stage}: {what}" for what in _not_listed(known.get(stage), pipeline.stages[stage])]
    return [f"{STALE} ({', '.join(dict.fromkeys(changed))})"] if changed else []


def _not_listed(before: LockedStage | None, stage: StageOfDag) -> list[str]:
    """What a lock has of a stage that `dvc.yaml` does not list any more: DVC does not compare that."""
    if before is None:
        return []
    keys = stage.params.get(str(PARAMS), frozenset())
    params = [
        f"{PARAMS} {key}"
        for key in before.params
        if str(PARAMS) in stage.params and keys and not any(f"{key}.".startswith(f"{k}.") for k in keys)
    ]
    files = (before.deps.keys() - stage.deps) | (set(before.params_files) - stage.params.keys())
    outs = before.outs.keys() ^ stage.outs
    return [*sorted(files), *sorted(outs), *params]


def gone(folder: Path, pipeline: Dag) -> list[str]:
    """Return the entries of the lock without a stage: DVC keeps them, so they would prove themselves."""
    left = sorted(_locked(folder).keys() - pipeline.stages.keys()) if (folder / LOCK).exists() else []
    return [f"{LOCK}: {name} is not a stage of {DAG} any more; remove it there too" for name in left]


def exempt(folder: Path, pipeline: Dag) -> list[str]:
    """Return what would not be verified: keys of the pipeline that take something out, code that is no dep.

    The deps of a stage are not believed. Its imports are followed, by this code and not by the commit's.
    """
    return [*pipeline.refused, *outside_deps.found(folder, pipeline), *undeclared(folder, pipeline)]


def undeclared(folder: Path, pipeline: Dag) -> list[str]:
    """Return the files that a stage runs and that are not among its deps: DVC would not see them change."""
    params = strict_yaml.load(folder / PARAMS) if (folder / PARAMS).exists() else {}
    findings: list[str] = []
    for name, stage in pipeline.stages.items():
        values = [_at(params, key) for key in stage.params.get(str(PARAMS), ())]
        if str(CLEAN) in stage.outs:  # it makes the features that contracts declare
            values += _named_code(folder, stage.deps)
        known = stage.deps | pipeline.outs
        findings += [
            f"{DAG}: {name}: runs {path}, which is not among its deps; add it"
            for path in sorted(imports.run_by(folder, stage.commands, values))
            if not known & {path, *map(str, PurePath(path).parents)}
        ]
    return findings


def _at(tree: object, key: str) -> object:
    """What stands at a dotted key of params, with the keys below it; None if nothing does."""
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def _named_code(folder: Path, deps: Iterable[str]) -> list[object]:
    """The code that the contracts among some deps name."""
    contracts = [folder / dep for dep in deps if PurePath(dep).match(CONTRACT) and (folder / dep).is_file()]
    declared = [(strict_yaml.load(path) or {}).get("derived") or {} for path in contracts]
    return [spec.get("code") for each in declared for spec in each.values() if isinstance(spec, dict)]


def other_data(folder: Path, commit: str) -> list[str]:
    """Return the deps of a model's stage that are neither its rows, contract nor committed code.

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
        If no stage of the clone's lock makes the model that is proven.

    """
    tracked = _tracked(commit)
    made = {path for other in _locked(folder).values() for path in other.outs}
    return [
        f"{DAG}: {name}: {model} may depend on no data but {_listed(MADE_OF[model])}, and not on {path}"
        for model, name, stage in _makers(folder)
        for path in stage.reads
        if Path(path) not in MADE_OF[model] and (path in made or _is_data(path) or Path(path) not in tracked)
    ]


def _listed(paths: Iterable[Path]) -> str:
    return ", ".join(map(str, paths))


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
        locked.loads(text, rev).stages for text, rev in ((before, "the commit"), (after, "the rerun"))
    )
    changed = [
        f"{name}: {path} is not what the commit reproduces"
        for name, stage in old.items()
        for path, file in stage.outs.items()
        if name not in new or file != new[name].outs.get(path)
    ]
    return changed or [STALE]


def dependent(folder: Path, env: Environment, commit: str) -> list[str]:
    """Return what shows that a model's stage reads more than it declares.

    It is rerun with nothing else in the clone. A stage that secretly reads the holdout then fails, or makes
    another model.

    Parameters
    ----------
    folder
        The project's folder in a clone whose stages were run. All is deleted from the clone but what the
        last model is made of, so this check comes last.
    env
        From `reproduce.environment`.
    commit
        The commit that the declared files are read from.

    Returns
    -------
    list of str
        One line for each model that shows it.

    Raises
    ------
    PerenneError
        If no stage of the clone's lock makes the model, or a declared file is not in the commit.

    """
    makers = list(_makers(folder))
    made = {model: _sha256(folder / model) for model, _, _ in makers}
    below = Path(git.git("rev-parse", "--show-prefix"))
    *_, top = (folder, *folder.parents[: len(below.parts)])
    findings: list[str] = []
    with TemporaryDirectory(dir=top.parent) as aside:
        data = {path: Path(aside) / path.name for model in made for path in MADE_OF[model]}
        for path, kept in data.items():
            (folder / path).rename(kept)
        for model, name, stage in makers:
            for path in top.iterdir():
                _remove(path)
            _bring(folder, stage, commit, {path: data[path] for path in MADE_OF[model]})
            with _unused(folder, env, commit) as unused:
                failed = shown(["/bin/sh", "-ec", "\n".join(stage.commands)], folder, unused)
            alone = "where there is nothing but what it declares"
            if failed:
                findings.append(f"{name}: fails {alone}: {failed[-1].removeprefix('error: ')}")
            elif not (folder / model).exists() or _sha256(folder / model) != made[model]:
                findings.append(f"{name}: makes another {model} {alone}")
    return findings


def _bring(folder: Path, stage: LockedStage, commit: str, data: Mapping[Path, Path]) -> None:
    """Put into an empty clone some data, each from where it was kept, and the code that a stage declares."""
    declared = {DAG, *map(Path, stage.reads)} - data.keys()
    # An `__init__.py` runs too; it need not be declared where it is empty.
    packages = {parent / "__init__.py" for path in declared for parent in path.parents}
    for path in declared | (packages & _tracked(commit)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(git.show(commit, path))
    for path, kept in data.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        kept.rename(folder / path)


@contextmanager
def _unused(folder: Path, env: Environment, commit: str) -> Iterator[Environment]:
    """Give an environment in which no stage has left anything: if the clone has its own, it is made anew."""
    if not env["PATH"].startswith(str(folder / ".venv")):
        Path(env["TMPDIR"]).mkdir(parents=True)
        yield env
        return
    with checkout(commit) as other:
        anew = environment(other)
        for path in other.iterdir():
            if path.name not in (".venv", ".dvc"):
                _remove(path)
        shutil.rmtree(other / ".dvc" / "cache", ignore_errors=True)
        yield anew


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _makers(folder: Path) -> Iterator[tuple[Path, str, LockedStage]]:
    """Each model of the clone's lock, with the name of the stage that makes it, and the stage."""
    stages = _locked(folder)
    for model in MADE_OF:
        maker = next((name for name, stage in stages.items() if str(model) in stage.outs), None)
        if maker:
            yield model, maker, stages[maker]
        elif model == MODEL:
            raise PerenneError(f"{LOCK}: no stage makes {MODEL}")


def _locked(folder: Path) -> dict[str, LockedStage]:
    return locked.loads((folder / LOCK).read_bytes(), "the clone").stages


def _tracked(commit: str) -> set[Path]:
    """The files of a commit, relative to the project."""
    return {Path(name) for name in git.git("ls-tree", "-r", "--name-only", "-z", commit).split("\0")}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
