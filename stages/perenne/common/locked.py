"""`dvc.lock` of a commit: which bytes each stage read and wrote, and with which params."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from perenne.common import git, strict_yaml
from perenne.common.errors import PerenneError, hint
from perenne.common.names import LOCK


class File(NamedTuple):
    """A dep or an output as DVC knows it: its MD5 (of a folder, ending in `.dir`) and its size in bytes."""

    md5: str
    size: int


class Locked(NamedTuple):
    """The stages of a lock: `{stage: {"deps": {path: File}, "outs": ..., "params": {dotted key: value}}}`."""

    rev: str
    stages: dict[str, dict[str, dict[str, Any]]]

    def out(self, path: Path) -> File:
        """An output; a `PerenneError` says what there is instead."""
        outs: dict[str, File] = {
            name: file for stage in self.stages.values() for name, file in stage["outs"].items()
        }
        if str(path) not in outs:
            raise PerenneError(f"{LOCK} of {self.rev}: no output {path}; {hint(path, outs)}")
        return outs[str(path)]

    def behind(self, path: Path) -> list[str]:
        """The stages that an output is made by, directly or not, in the lock's order."""
        made_by = {name: stage for stage, found in self.stages.items() for name in found["outs"]}
        chosen: set[str] = set()
        waiting = [made_by[str(path)]] if str(path) in made_by else []
        while waiting:
            stage = waiting.pop()
            if stage not in chosen:
                chosen.add(stage)
                waiting += [made_by[dep] for dep in self.stages[stage]["deps"] if dep in made_by]
        return [stage for stage in self.stages if stage in chosen]


def load(rev: str | None = None) -> Locked:
    """The lock of a commit, or of the working tree (None)."""
    if rev is None and not LOCK.exists():
        raise PerenneError(f"{LOCK}: no such file; dvc repro makes it")
    text = LOCK.read_text(encoding="utf-8") if rev is None else git.show(rev, LOCK).decode()
    name = rev or "the working tree"
    found = strict_yaml.loads(text, f"{LOCK} of {name}")
    return Locked(name, {stage: _stage(content) for stage, content in found["stages"].items()})


def _stage(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    files = {
        kind: {entry["path"]: File(entry["md5"], entry["size"]) for entry in content.get(kind, [])}
        for kind in ("deps", "outs")
    }
    params = content.get("params", {}).get("params.yaml", {})
    return files | {"params": flat(params)}


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A tree of params by dotted keys.

    >>> flat({"split": {"as_of": "2019Q4", "window": 20}})
    {'split.as_of': '2019Q4', 'split.window': 20}
    """
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found
