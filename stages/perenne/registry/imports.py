"""The files of ours that a stage runs: found by its imports, not believed from `dvc.yaml`."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

LIBRARY = "stages/perenne"  # where the package `perenne` lies, if it is part of the project
# It imports the source that params.yaml names: each of them counts, as they are deps of one stage together.
BY_NAME = f"{LIBRARY}/cases/source.py"
DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def run_by(folder: Path, commands: Iterable[str], values: Iterable[object] = ()) -> set[str]:
    """Return the files of a project that some commands run, imported ones included, directly or not.

    A package whose `__init__.py` is a docstring and nothing more runs nothing, so that file is left out.

    Parameters
    ----------
    folder
        The project's folder. Its code is read, and never run.
    commands
        The commands of a stage.
    values
        Its params: a text such as `stages.features.Ages` names a module too.

    Returns
    -------
    set of str
        Paths relative to the folder.

    """
    waiting = [path for command in commands for path in _started(folder, command)]
    waiting += [path for text in texts(values) if DOTTED.fullmatch(text) for path in _files(text)]

    def read(name: str) -> bytes | None:
        return (folder / name).read_bytes() if (folder / name).is_file() else None

    def beside(name: str) -> list[str]:
        return [str(path.relative_to(folder)) for path in (folder / name).parent.glob("*.py")]

    return _followed(waiting, read, beside)


def named_by(values: Iterable[object], read: Callable[[str], bytes | None]) -> set[str]:
    """Return the files that dotted names among some values name, imported ones included, directly or not.

    Parameters
    ----------
    values
        Texts, or lists and mappings of them; all other values are passed over.
    read
        Returns a file by its path relative to the project's folder; None if it is not to be followed.

    Returns
    -------
    set of str
        Paths as `read` takes them.

    """
    named = [text for text in texts(values) if DOTTED.fullmatch(text)]
    return _followed([path for text in named for path in _files(text)], read, lambda _: [])


def _followed(
    names: Iterable[str], read: Callable[[str], bytes | None], beside: Callable[[str], list[str]]
) -> set[str]:
    """Those of some files that `read` knows, with all that they import; `beside` lists a folder's modules."""
    waiting = [*names]
    found: set[str] = set()
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or (content := read(name)) is None:
            continue
        seen.add(name)
        if not name.endswith(".py"):
            found.add(name)
            continue
        tree = _tree(content)
        if not name.endswith("__init__.py") or tree is None or _runs(tree):
            found.add(name)
        waiting += [path for node in ast.walk(tree) for path in _of_node(node, name)] if tree else []
        if name == BY_NAME:
            waiting += beside(name)
    return found


def _started(folder: Path, command: str) -> Iterator[str]:
    """The files that a command names: modules after `-m`, code after `-c`, and files of the project."""
    try:
        words = shlex.split(command)
    except ValueError:  # a shell may read it all the same
        words = command.split()
    for before, word in zip(["", *words], words, strict=False):
        if before == "-m":
            yield from _files(word, package=True)
        elif before == "-c" and (tree := _tree(word.encode())):
            yield from (path for node in ast.walk(tree) for path in _of_node(node, ""))
        elif not word.startswith(("-", "/", "..")) and (folder / word).is_file():
            yield str(Path(word))
        elif DOTTED.fullmatch(word):  # it may be imported by its name
            yield from _files(word)


def _of_node(node: ast.AST, file: str) -> list[str]:
    """The files of ours that an import may run: a statement, or a call with the module's name in it."""
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        module = _absolute(file, node.level, node.module)
        names = [name for name in (module, *(f"{module}.{alias.name}" for alias in node.names)) if name]
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        named = node.args[0].value
        if called in ("import_module", "__import__", "run_module") and isinstance(named, str):
            names = [named]
    return [path for name in names for path in _files(name)]


def _absolute(file: str, level: int, module: str | None) -> str:
    """The module that `from .module import` names in a file."""
    if not level:
        return module or ""
    parents = Path(file).parts[:-level]
    package = ["perenne", *parents[2:]] if parents[:2] == Path(LIBRARY).parts else list(parents)
    return ".".join([*package, module] if module else package)


def _files(module: str, *, package: bool = False) -> list[str]:
    """Where a module may lie, with the packages above it; `package`: it is run, so its `__main__.py` too."""
    top, *rest = module.split(".")
    parts = [*(Path(LIBRARY).parts if top == "perenne" else [top]), *rest]
    folders = ["/".join(parts[:i]) for i in range(1, len(parts) + 1)]
    return [
        *(f"{folder}/__init__.py" for folder in folders),
        *([f"{folders[-1]}/__main__.py"] if package else []),
        f"{folders[-1]}.py",
        *([f"{folders[-2]}.py"] if len(folders) > 1 else []),  # it may be a name in a module
    ]


def _runs(tree: ast.Module) -> bool:
    """Whether there is more than a docstring."""
    return len(tree.body) > (ast.get_docstring(tree, clean=False) is not None)


def texts(values: Iterable[object]) -> Iterator[str]:
    """All texts among some values, in lists and mappings of them too."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | tuple):
            yield from texts(value)
        elif isinstance(value, dict):
            yield from texts(value.keys())
            yield from texts(value.values())


def _tree(code: bytes) -> ast.Module | None:
    """The code as a tree; None if it is not Python: then it imports nothing."""
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
