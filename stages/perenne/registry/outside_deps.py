"""What a clone would run although no dep of a stage names it: nothing of that can be verified."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePath

from perenne.common.names import DAG
from perenne.registry.dag import Dag

COMPILED = (".pyc", ".pyo", ".pyd", ".so")
# Nothing in it means anything to a shell, which could go elsewhere and run what is there.
COMMAND = re.compile(r"python3?( +-u)? +-m +(?P<module>[A-Za-z_][A-Za-z0-9_.]*)( +[\w@%+=:,./-]+)*")


def found(folder: Path, pipeline: Dag) -> list[str]:
    """Return what must not be in a clone, one line each.

    Parameters
    ----------
    folder
        The project's folder in a clone. Nothing in it is run.
    pipeline
        The clone's pipeline.

    """
    return [*_compiled(folder), *_shadows(folder, pipeline), *_commands(folder, pipeline)]


def _compiled(folder: Path) -> Iterator[str]:
    """Code that Python runs in place of a source; its bytecode need not be that of the source beside it."""
    if os.path.lexists(folder / ".venv"):
        yield ".venv: an environment is made of requirements.txt and not brought along; remove it"
    for root, folders, names in os.walk(folder):
        here = Path(root).relative_to(folder)
        for name in sorted({*folders, *names}):
            if name == "__pycache__" or name.lower().endswith(COMPILED):
                yield f"{here / name}: is compiled code, which Python may run in place of a source; remove it"
        folders[:] = [name for name in folders if name not in ("__pycache__", ".git", ".venv")]


def _shadows(folder: Path, pipeline: Dag) -> Iterator[str]:
    """Modules beside `stages` that a package may import by name: `python -m` looks here first."""
    deps = {dep for stage in pipeline.stages.values() for dep in stage.deps}
    for top in sorted(folder.iterdir()):
        name = top.name if top.is_dir() else top.stem
        if name.isidentifier() and top.name not in ("stages", "tests"):
            code = [path.relative_to(folder) for path in _code(top)]
            hidden = [path for path in code if not deps & {str(path), *map(str, PurePath(path).parents)}]
            if hidden:
                yield (
                    f"{min(hidden)}: is found before any package named {name}; "
                    "add it to the deps of a stage, move it to tests/, or remove it"
                )


def _code(top: Path) -> Iterator[Path]:
    """The modules of a file or folder; a link to a folder may lead to others."""
    if not top.is_dir():
        yield from [top] if top.suffix == ".py" else []
    for root, folders, names in os.walk(top):
        yield from (Path(root, name) for name in names if name.endswith(".py"))
        yield from (Path(root, name) for name in folders if Path(root, name).is_symlink())


def _commands(folder: Path, pipeline: Dag) -> Iterator[str]:
    for name, stage in pipeline.stages.items():
        for command in (line.strip() for text in stage.commands for line in text.split("\n")):
            if command and not _plain(folder, command):
                yield (
                    f"{DAG}: {name}: cmd {command!r:.100} must be python -m and a module of the project, "
                    "with plain arguments and nothing for a shell"
                )


def _plain(folder: Path, command: str) -> bool:
    """Whether a command runs a module of the project and nothing else: not one that runs others, as runpy."""
    match = COMMAND.fullmatch(command)
    if not match or match["module"].split(".")[0] in sys.stdlib_module_names:
        return False
    path = match["module"].replace(".", "/")
    return any((folder / f"{path}{end}").is_file() for end in (".py", "/__main__.py"))
