"""The project's code that makes features: the files of a commit, and whether those on disk are the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

from perenne.common import locked
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.names import CLEAN
from perenne.common.project_code import FOLDER, LIBRARY, file_of, root
from perenne.registry.tags import Version

# By file: what was on disk when this process first used it. Python does not import a module twice.
_used: dict[str, str] = {}


def files(rev: str | None = None) -> dict[str, str]:
    """The MD5 of each file of the project's code that the stage of the clean data imports, by its path.

    The stage refuses to import a file that is not among its deps, so these are all. Its own file is not one.

    Parameters
    ----------
    rev
        A commit, or the working tree (None), by its `dvc.lock`.

    """
    stages = locked.load(rev).stages
    return {
        path: file.md5
        for name, stage in stages.items()
        if str(CLEAN) in stage.outs
        for path, file in stage.deps.items()
        if path.endswith(".py") and path.startswith(f"{FOLDER}/")
        if path.removeprefix(f"{FOLDER}/") not in ("__init__.py", f"{name}.py")
        if not path.startswith(f"{FOLDER}/{LIBRARY}/")
    }


def on_disk(contract: Contract) -> dict[str, str]:
    """The MD5 of the same files as they are on disk, and of those that a contract names."""
    named = [file_of(str(contract.derived[name].code)) for name in contract.coded]
    paths = {name: root() / name for name in sorted({*files(), *named})}
    return {name: _md5(path) for name, path in paths.items() if path.is_file()}


def must_be_here(version: Version, contract: Contract) -> None:
    """Check that the project's code on disk is that of a version, if a feature of it is made by code.

    Raises
    ------
    PerenneError
        Names the first file that differs, and what to do.

    """
    if not contract.coded:
        return
    for name, md5 in sorted(files(version.commit).items()):
        path = root() / name
        here = _md5(path) if path.is_file() else "missing"
        if here != md5 or _used.setdefault(name, here) != here:
            raise PerenneError(
                f"{version.tag}: {name} here is not the version's, whose features it makes; use a checkout "
                f"of its commit: git worktree add ../{version.version} {version.commit[:12]}"
            )


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
