"""The project's own code as it was in a commit: a released model is scored by the code that it was made with.

The working tree may have changed `stages/models.py` since. The champion's scores would then be those of the
challenger's code, and whoever writes that code could make the champion look worse than it is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import invalidate_caches
from pathlib import Path
from tempfile import TemporaryDirectory

from perenne.common import git, project_code
from perenne.common.project_code import FOLDER, LIBRARY


@contextmanager
def commit(rev: str, trusted: Iterable[str]) -> Iterator[None]:
    """Within it, a model file is loaded with the project's code of a commit.

    What was loaded keeps that code afterwards, and what was imported before keeps its own. Only what a
    function imports when it is called is found in the working tree.

    Parameters
    ----------
    rev
        The commit.
    trusted
        What the model's card lists of the project's code; if nothing, nothing is done.

    Raises
    ------
    PerenneError
        If there is no such commit.

    """
    if not [*trusted]:
        yield
        return
    with TemporaryDirectory(prefix="perenne-code-") as name:
        folder = Path(name)
        _write(rev, folder)
        before = {n: sys.modules.pop(n) for n in [*sys.modules] if n.split(".")[0] == FOLDER}
        sys.path.insert(0, name)
        invalidate_caches()
        try:
            with project_code.within(folder):
                yield
        finally:
            sys.path.remove(name)
            for loaded in [n for n in sys.modules if n.split(".")[0] == FOLDER]:
                del sys.modules[loaded]
            sys.modules.update(before)


def _write(rev: str, folder: Path) -> None:
    """Write the Python files of the project's own code, the library left out."""
    listed = git.git("ls-tree", "-r", "-z", "--name-only", git.commit(rev), f"{FOLDER}/").split("\0")
    for name in listed:
        path = Path(name)
        if path.suffix == ".py" and not path.is_relative_to(Path(FOLDER, LIBRARY)):
            to = folder / path
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(git.show(rev, path))
