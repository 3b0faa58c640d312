"""The pipeline of a folder as DVC itself parses it, and what in it would escape a rerun.

Merge keys, `vars`, `foreach` and `matrix` are resolved by DVC's own code: what it would run is checked.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from perenne.common.errors import PerenneError
from perenne.common.names import CLEAN, DAG, HOLDOUT, MODEL, PARAMS, TRAIN
from perenne.registry.workspace import line

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc.stage import Stage

# What a rerun proves. Any other key may take something out of it, so it is refused: `frozen` and
# `always_changed` change what is run, `wdir` what a path means, `persist` keeps what was there before, `push`
# and `remote` leave data where nobody finds it.
FILE_KEYS = {"stages", "params", "metrics", "plots", "artifacts", "vars"}
STAGE_KEYS = {"cmd", "deps", "params", "outs", "metrics", "plots", "desc", "meta"}
OUT_KEYS = {"desc", "type", "labels", "meta"}
SHOWN_KEYS = OUT_KEYS | {"cache", "template", "x", "y", "x_label", "y_label", "title", "header"}
OUTS = {"outs": OUT_KEYS, "metrics": SHOWN_KEYS, "plots": SHOWN_KEYS}

KEPT = (".gitignore", ".gitkeep")  # they explain a folder, and are no data

MADE = (CLEAN, TRAIN, HOLDOUT, MODEL)  # by stages: as an input it would prove itself


class StageOfDag(NamedTuple):
    """A stage: paths are relative to the project. `params` has the keys by file, none for a whole file."""

    commands: tuple[str, ...]
    deps: frozenset[str]
    params: dict[str, frozenset[str]]
    outs: frozenset[str]


class Dag(NamedTuple):
    """The stages by name, and what must not be there, one line each."""

    stages: dict[str, StageOfDag]
    refused: list[str]

    @property
    def outs(self) -> set[str]:
        """What the stages make."""
        return {path for stage in self.stages.values() for path in stage.outs}


def read(folder: Path) -> Dag:
    """Parse the pipeline of a project's folder.

    Parameters
    ----------
    folder
        The project's folder. Nothing in it is run.

    Raises
    ------
    PerenneError
        If DVC cannot read it; in one line.

    """
    from dvc.repo import Repo

    site = {"core": {"site_cache_dir": str((folder / ".dvc" / "tmp" / "site").absolute())}}
    try:
        with Repo(str(folder), config=site) as repo:
            return _read(repo, folder.resolve())
    except PerenneError:
        raise
    except Exception as error:  # whatever DVC makes of a text that somebody else wrote
        raise PerenneError(f"{DAG}: {line(error)}") from error


def _read(repo: Repo, folder: Path) -> Dag:
    from dvc.dvcfile import load_file

    file = load_file(repo, str(folder / DAG))
    content = file.load()
    refused = [_refused(str(DAG), key) for key in sorted(content.keys() - FILE_KEYS)]
    definitions = file.resolver.resolve()["stages"]
    stages = {}
    for name, definition in definitions.items():
        refused += _unexpected(name, definition)
        stages[name] = _stage(definition)
    dag = Dag(stages, refused)
    refused += [f"{DAG}: no stage makes {path}" for path in map(str, MADE) if path not in dag.outs]
    given = {dep for stage in stages.values() for dep in stage.deps} - dag.outs
    refused += [line for dep in sorted(given) for line in _hidden(repo, folder, dep)]
    refused += [line for path in sorted(given | dag.outs) for line in _linked(folder, path)]
    for other in repo.index.stages:
        if Path(other.path) != folder / DAG:
            refused += _elsewhere(other, str(Path(other.path).relative_to(folder)))
    return dag


def _unexpected(name: str, definition: dict[str, object]) -> Iterator[str]:
    """The keys of a stage and of its outputs that a rerun would not prove."""
    for key in definition.keys() - STAGE_KEYS:
        yield _refused(f"{DAG}: {name}", key)
    for key, allowed in OUTS.items():
        for path, flags in _entries(definition.get(key)):
            if not _inside(path):
                yield f"{DAG}: {name}: {key}: {path} is not in the project"
            for each in flags if isinstance(flags, list) else [flags]:
                for flag in sorted(set(each if isinstance(each, dict) else ()) - allowed):
                    yield _refused(f"{DAG}: {name}: {key}: {path}", flag)


def _hidden(repo: Repo, folder: Path, dep: str) -> Iterator[str]:
    """The files of a folder that DVC does not hash with it, though a stage could read them."""
    top = folder / dep
    seen = set(map(Path, repo.dvcignore.find(repo.fs, str(top)))) if top.is_dir() else set()
    for root, folders, names in os.walk(top):
        links = [name for name in folders if Path(root, name).is_symlink()]
        for path in (Path(root, name) for name in sorted([*links, *names])):
            if path not in seen and path.name not in KEPT:
                yield f"{path.relative_to(folder)}: DVC does not see it in {dep}; remove it"


def _linked(folder: Path, path: str) -> Iterator[str]:
    """Whether a dep or an output lies behind a link to another folder: deleting it would be done there."""
    for parent in list(Path(path).parents)[:-1] if _inside(path) else ():
        if (folder / parent).is_symlink():
            yield f"{DAG}: {path}: {parent} is a link; make it a folder"


def _elsewhere(stage: Stage, file: str) -> Iterator[str]:
    """What is wrong with a file of DVC's beside `dvc.yaml`: it may only say which data there are."""
    from dvc.stage import PipelineStage

    if isinstance(stage, PipelineStage):
        yield f"{file}: only the stages of {DAG} are verified; move {stage.name} there"
        return
    keys = {
        "cmd": bool(stage.cmd),
        "always_changed": stage.always_changed,
        "frozen": stage.frozen and not stage.deps,  # of an import it only says that it is no stage
        "wdir": Path(stage.wdir) != Path(stage.path).parent,
        "cache": any(not out.use_cache for out in stage.outs),
        "persist": any(out.persist for out in stage.outs),
        "push": any(not out.can_push for out in stage.outs),
        "remote": any(out.remote for out in stage.outs),
    }
    for key in (key for key, present in keys.items() if present):
        yield _refused(file, key)


def _stage(definition: dict[str, object]) -> StageOfDag:
    commands = definition.get("cmd") or ()
    params: dict[str, frozenset[str]] = {}
    for entry in _list(definition.get("params")):
        files = entry.items() if isinstance(entry, dict) else [(str(PARAMS), [entry])]
        for path, keys in files:
            params[_path(path)] = params.get(_path(path), frozenset()) | {str(key) for key in keys or []}
    return StageOfDag(
        (commands,) if isinstance(commands, str) else tuple(map(str, _list(commands))),
        frozenset(_path(dep) for dep in _list(definition.get("deps"))),
        params,
        frozenset(_path(path) for key in OUTS for path, _ in _entries(definition.get(key))),
    )


def _entries(listed: object) -> Iterator[tuple[str, object]]:
    """The outputs of a list, each with its flags, if it has any."""
    for entry in _list(listed):
        yield from entry.items() if isinstance(entry, dict) else [(str(entry), None)]


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def _path(text: object) -> str:
    return str(text) if "://" in str(text) else posixpath.normpath(str(text))


def _inside(path: str) -> bool:
    return not ("://" in path or _path(path).startswith(("/", "..")))


def _refused(where: str, key: str) -> str:
    return f"{where}: {key} exempts it from being verified; remove it"
