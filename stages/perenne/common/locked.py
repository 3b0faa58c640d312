"""`dvc.lock` of a commit: which bytes each stage read and wrote, and with which params."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import ConfigDict, Field

from perenne.common import git, strict_yaml
from perenne.common.errors import PerenneError, hint
from perenne.common.names import LOCK, MODEL, PARAMS, RELEASED
from perenne.common.typed import Model, parse


class File(NamedTuple):
    """A dep or an output as DVC knows it: its MD5 (of a folder, ending in `.dir`) and its size in bytes."""

    md5: str
    size: int


class LockedStage(NamedTuple):
    """What a stage has run, read and written.

    `params` are those of params.yaml by dotted key. `params_files` are all the files that params are from.
    """

    commands: tuple[str, ...]
    deps: dict[str, File]
    outs: dict[str, File]
    params: dict[str, object]  # a value is whatever its stage reads; it is compared and shown, never used
    params_files: tuple[str, ...]

    @property
    def reads(self) -> list[str]:
        """The files that the stage depends on, those with params included."""
        return [*self.deps, *self.params_files]


class Locked(NamedTuple):
    """The stages of a lock by name; `rev` is what an error calls the commit."""

    rev: str
    stages: dict[str, LockedStage]

    def out(self, path: Path) -> File:
        """Return an output; a `PerenneError` says which outputs there are instead."""
        outs = {name: file for stage in self.stages.values() for name, file in stage.outs.items()}
        if str(path) not in outs:
            raise PerenneError(f"{LOCK} of {self.rev}: no output {path}; {hint(path, outs)}")
        return outs[str(path)]

    @property
    def released(self) -> Path:
        """The model that a release puts to use: the one that was proven, where no stage refits it."""
        made = {path for stage in self.stages.values() for path in stage.outs}
        return RELEASED if str(RELEASED) in made else MODEL

    @property
    def models(self) -> tuple[str, str]:
        """The MD5 of the model that is proven, and of the one that a release puts to use.

        Raises
        ------
        PerenneError
            If no stage makes the first.

        """
        return self.out(MODEL).md5, self.out(self.released).md5

    def behind(self, path: Path) -> list[str]:
        """Return the stages that make an output, directly or not, in the order of the lock.

        Parameters
        ----------
        path
            The output, as dvc.lock names it.

        Returns
        -------
        list[str]
            Names of stages; empty if no stage makes this output.

        """
        made_by = {name: stage for stage, locked in self.stages.items() for name in locked.outs}
        chosen: set[str] = set()
        waiting = [made_by[str(path)]] if str(path) in made_by else []
        while waiting:
            stage = waiting.pop()
            if stage not in chosen:
                chosen.add(stage)
                waiting += [made_by[dep] for dep in self.stages[stage].deps if dep in made_by]
        return [stage for stage in self.stages if stage in chosen]


def load(rev: str | None = None) -> Locked:
    """Read the lock of a commit, or of the working tree (None); a `PerenneError` if there is none."""
    if rev is None and not LOCK.exists():
        raise PerenneError(f"{LOCK}: no such file; dvc repro makes it")
    if rev is not None:
        return loads(git.text(rev, LOCK), rev)
    return loads(LOCK.read_bytes(), "the working tree")


def loads(text: str | bytes, rev: str) -> Locked:
    """Parse the text of a lock; `rev` is what an error calls the commit.

    Raises
    ------
    PerenneError
        If the text is not the YAML that DVC writes.

    """
    name = f"{LOCK} of {rev}"
    try:
        content = strict_yaml.loads(text if isinstance(text, str) else text.decode("utf-8"), name)
    except UnicodeDecodeError as error:
        raise PerenneError(f"{name}: not UTF-8 at byte {error.start}") from error
    written = parse(_Written, content or {}, name)
    return Locked(rev, {stage: _stage(entry) for stage, entry in (written.stages or {}).items()})


class _Lenient(Model):
    """A part of the lock: DVC may write more into it."""

    model_config = ConfigDict(extra="ignore")


class _Entry(_Lenient):
    """A file. What is outside the project has an `etag` or the like in place of an MD5."""

    path: str
    md5: str = ""
    size: int = 0


class _Stage(_Lenient):
    """A stage as DVC writes it."""

    cmd: str | list[str] = Field(default_factory=list)
    deps: list[_Entry] = Field(default_factory=list)
    outs: list[_Entry] = Field(default_factory=list)
    params: dict[str, dict[str, object] | None] = Field(default_factory=dict)


class _Written(_Lenient):
    """The whole file. One without stages is what DVC leaves where the last stage was removed."""

    stages: dict[str, _Stage] | None = None


def _stage(entry: _Stage) -> LockedStage:
    return LockedStage(
        (entry.cmd,) if isinstance(entry.cmd, str) else tuple(entry.cmd),
        _files(entry.deps),
        _files(entry.outs),
        flat(entry.params.get(str(PARAMS)) or {}),
        tuple(entry.params),
    )


def _files(entries: list[_Entry]) -> dict[str, File]:
    return {entry.path: File(entry.md5, entry.size) for entry in entries}


def flat(tree: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Return a tree of params by dotted keys.

    Parameters
    ----------
    tree
        Params by key, nested as in the file.
    prefix
        What every key of the result begins with.

    Examples
    --------
    >>> flat({"split": {"as_of": "2019Q4", "window": 20}})
    {'split.as_of': '2019Q4', 'split.window': 20}

    """
    params: dict[str, object] = {}
    for key, value in tree.items():
        params |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return params
