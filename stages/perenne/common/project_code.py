"""Code of the project: what params and contracts name as `stages.MODULE.NAME`.

Its files lie beside the stages. DVC must see them: a file that a stage imports and `dvc.yaml` does not list
could change without anything being run again, so the stage refuses it.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from perenne.common import strict_yaml
from perenne.common.errors import PerenneError, hint
from perenne.common.names import CODE_FOLDER, DAG

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "stages"
LIBRARY = "perenne"  # where it is part of the project, it is not the project's own code
NAMED = re.compile(rf"{FOLDER}(\.[A-Za-z_]\w*)+\.[A-Za-z_]\w*")

FAILURES = (Exception, SystemExit)  # of code that is not ours: `sys.exit` in it must not end a service
T = TypeVar("T")

_within: list[Path] = []  # where the project's code is, if not in the current folder
_been: list[Path] = []  # all folders that it was in: what was loaded there still runs


class CodeError(PerenneError):
    """The project's code failed, or returned what it must not, for some rows.

    Parameters
    ----------
    text
        One line.
    brief
        The same without the error's message, which may hold values of a row: for a log.

    Attributes
    ----------
    row
        The place of the first row for which it fails alone, from 0; None: of no row in particular.

    """

    def __init__(self, text: str, brief: str) -> None:
        super().__init__(text)
        self.brief = brief
        self.row: int | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """By both texts: `Exception` would hand over the first alone to another process."""
        return type(self), (str(self), self.brief), {"row": self.row}


@contextmanager
def within(folder: Path) -> Iterator[None]:
    """Within it, `imported` finds the project's code in another folder."""
    _within.append(folder)
    _been.append(folder)
    try:
        yield
    finally:
        _within.pop()


def is_named(text: object) -> bool:
    """Whether a value of params.yaml names code of the project.

    >>> is_named("stages.models.Mine"), is_named("sklearn.svm.SVC"), is_named("stages.perenne.cli.main")
    (True, False, False)
    """
    return (
        isinstance(text, str)
        and NAMED.fullmatch(text) is not None
        and not text.startswith(f"{FOLDER}.{LIBRARY}.")
    )


def root() -> Path:
    """The folder above `stages`: the current one, that of `within`, or in the service that of its version."""
    return _within[-1] if _within else Path(os.environ.get(CODE_FOLDER) or Path.cwd())


def file_of(path: str) -> str:
    """The file that a name such as `stages.models.Mine` is in.

    >>> file_of("stages.models.Mine")
    'stages/models.py'
    """
    return str(Path(*path.split(".")[:-1]).with_suffix(".py"))


def make_importable() -> None:
    """Let Python find the project's code: a command or a worker does not begin with it on its path."""
    here = str(root())
    if here not in sys.path:
        sys.path.append(here)  # last: nothing there hides a package


def imported(path: str, key: str) -> Any:  # whatever the project has written
    """The function or class at a path such as `stages.models.Mine`.

    Parameters
    ----------
    path
        A name for which `is_named` holds.
    key
        What an error calls its place, such as `params.yaml: train.estimator`.

    Raises
    ------
    PerenneError
        If there is no such file or name, or the file fails when it is imported: it names file and line.

    """
    module_name, _, attribute = path.rpartition(".")
    file = Path(file_of(path))
    if not (root() / file).is_file():
        raise PerenneError(f"{key}: {path!r}: there is no {file}; write the module, or correct the name")
    make_importable()
    try:
        module = import_module(module_name)
    except FAILURES as error:  # the project's code can fail in any way
        raise failed(error, str(file)) from error
    if not hasattr(module, attribute):
        names = [
            name
            for name, value in vars(module).items()
            if getattr(value, "__module__", None) == module_name and not name.startswith("_")
        ]
        raise PerenneError(f"{key}: {path!r}: {file} has no {attribute}; {hint(attribute, names)}")
    return getattr(module, attribute)


def defined(path: str, key: str) -> Any:  # as `imported`
    """As `imported`, but only what the module itself defines: what it has imported is not its own.

    Raises
    ------
    PerenneError
        As for `imported`, and for a name of another module.

    """
    value = imported(path, key)
    home = f"{getattr(value, '__module__', None)}.{getattr(value, '__qualname__', None)}"
    if home != path:
        raise PerenneError(f"{key} {path}: it is not defined there, it is {home}, which is not trusted")
    return value


def of_rows(call: Callable[[pd.DataFrame], T], rows: pd.DataFrame) -> T:
    """What a call returns for rows; its `CodeError` is raised with the row that it fails for.

    Parameters
    ----------
    call
        Runs the project's code.
    rows
        At least one.

    """
    try:
        return call(rows)
    except CodeError as error:
        error.row = _first_failing(call, rows)
        raise


def _first_failing(call: Callable[[pd.DataFrame], object], rows: pd.DataFrame) -> int | None:
    """The place of a row that a call fails for; None if it fails for any, or only for several together."""

    def fails(start: int, end: int) -> bool:
        try:
            call(rows.iloc[start:end])
        except CodeError:
            return True
        return False

    start, end = 0, len(rows)
    while end - start > 1:
        middle = (start + end) // 2
        start, end = (start, middle) if fails(start, middle) else (middle, end)
    if len(rows) == 1:
        return 0
    return start if fails(start, end) and not (start == 0 and fails(len(rows) - 1, len(rows))) else None


def failed(error: BaseException, file: str) -> CodeError:
    """One line for an error in the project's code: the file and the line of it where it was, and what it was.

    Parameters
    ----------
    error
        As it was raised.
    file
        Where it is put if none of its frames is of the project.

    """
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{_relative(error.filename)}:{error.lineno}"
        return CodeError(f"{place}: {said}", f"{type(error).__name__} at {place}")
    frames = [
        (_relative(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)
    ]
    own = [f"{name}:{line}" for name, line in frames if _is_own(name)]
    place = own[-1] if own else file
    return CodeError(f"{place}: {said}", f"{type(error).__name__} at {place}")


def is_of_project(error: BaseException) -> bool:
    """Whether an error was raised in the project's code, or by what that called."""
    frames = traceback.extract_tb(error.__traceback__)
    return any(_is_own(_relative(frame.filename)) for frame in frames)


def files() -> list[str]:
    """The files of the project's code that this process has imported, stages left out, sorted."""
    names = _imported()
    started = _relative(getattr(sys.modules.get("__main__"), "__file__", None) or "")
    return sorted({name for name in names if _is_own(name)} - {f"{FOLDER}/__init__.py", started})


def check_deps(stage: str) -> None:
    """Check that `dvc.yaml` lists every file of the project's code that the process of a stage has imported.

    Parameters
    ----------
    stage
        Its name in dvc.yaml.

    Raises
    ------
    PerenneError
        Names the file, the stage, and the line to add; or a file that no version would bring along, as it
        is outside of `stages/` or a link to elsewhere.

    """
    _check_places(stage)
    deps = strict_yaml.load(DAG)["stages"][stage].get("deps", [])
    for name in files():
        if not any(name == dep or name.startswith(f"{dep.rstrip('/')}/") for dep in deps):
            raise PerenneError(
                f"{DAG}: stages.{stage}.deps: lacks {name}, which the stage imports, so a change to it would "
                f"rerun nothing; add `- {name}`"
            )


def _imported() -> set[str]:
    """The files in the project's folder that this process has imported."""
    files = (getattr(module, "__file__", None) or "" for module in list(sys.modules.values()))
    return {name for name in map(_relative, files) if name}


def _check_places(stage: str) -> None:
    """Check that all that was imported from the project's folder is a file in `stages/`."""
    here = root().resolve()
    for name in sorted(_imported()):
        if _is_own(name) and (here / name).resolve() != here / name:
            raise PerenneError(
                f"{name}: is a link, and a version holds files alone; put the file in its place"
            )
        ours = not any((here / name).is_relative_to(prefix) for prefix in (sys.prefix, sys.base_prefix))
        if ours and not name.startswith(f"{FOLDER}/"):
            raise PerenneError(
                f"{name}: stage {stage} imports it, but only code in {FOLDER}/ belongs to a version; "
                f"move it there, and import it as {FOLDER}.{Path(name).stem}"
            )


def _relative(name: str) -> str:
    """A file's path from the project's folder; empty for a file outside of it."""
    if not name:
        return ""
    path = Path(name).absolute()
    return next((str(path.relative_to(at)) for at in (root(), *_been) if path.is_relative_to(at)), "")


def _is_own(name: str) -> bool:
    return name.startswith(f"{FOLDER}/") and not name.startswith(f"{FOLDER}/{LIBRARY}/")
