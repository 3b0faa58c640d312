"""The steps of `perenne new`: a new repository, or what is missing in one that is there."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import NamedTuple

from perenne.common import git, strict_yaml
from perenne.common.contract import read_contract
from perenne.common.errors import PerenneError
from perenne.common.names import CASES, DAG, INCOMING, LOCK, PARAMS
from perenne.common.params import read_params
from perenne.new import commits, template
from perenne.new.adopted import Case, adopt
from perenne.new.template import Answers, Template

NO_CASE = (
    "There is no case yet: `perenne adopt FILES --target COLUMN --time COLUMN` makes one, with the contract\n"
    "in `data/cases/` and `params.yaml`. Then say here what is predicted, for whom, and from what."
)


IGNORED = ".gitignore"


class Begun(NamedTuple):
    """A project: which files of the template were added, and which were left, being there already.

    `generated` is the commit of the whole template; `exposed` is what the `.gitignore` that was left does not
    ignore; `case` is the name of the one that was adopted.
    """

    folder: Path
    added: list[str]
    left: list[str]
    generated: str
    exposed: list[str]
    case: str | None


def free(folder: Path) -> bool:
    """Whether a folder gets a repository of its own; False if it is the root of one already.

    Raises
    ------
    PerenneError
        If it is a file, not empty, inside of another repository or of Git's own folder, or not printable.

    """
    if not str(folder).isprintable():
        raise PerenneError(f"{str(folder)!a}: cannot be printed; use a folder with another name")
    with _writing(folder):  # a name may be too long to be looked for
        here = next(path for path in (folder, *folder.parents) if path.exists())
    if not here.is_dir():
        raise PerenneError(f"{here}: is a file; give a folder that is not there yet")
    with chdir(here):
        inside = git.succeeds("rev-parse", "--git-dir")
        if inside and not git.succeeds("rev-parse", "--show-toplevel"):
            raise PerenneError(f"{folder}: lies where Git keeps a repository; use a folder outside of it")
        top = git.git("rev-parse", "--show-toplevel") if inside else None
    if top is None:
        if here == folder and any(folder.iterdir()):
            raise PerenneError(
                f"{folder}: not empty; use another folder, or git init and perenne new . there"
            )
        return True
    if Path(top) != folder:
        raise PerenneError(f"{folder}: lies in the repository {top}; use a folder outside of it, or its root")
    return False


def create(folder: Path, made: Template, case: Case | None) -> Begun:
    """Make a project with a repository of its own; if that fails, nothing of it is left.

    Parameters
    ----------
    folder
        Absolute; empty, or not there.
    made
        The template.
    case
        What to adopt; None: nothing yet.

    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with chdir(folder):
            commits.identity()
            git.git("init", "--quiet", "--initial-branch=main")
            files = template.filled(made, Answers(name=folder.name, about=NO_CASE))
            _write(files)
            if case:
                adopt(case)
                files = template.filled(made, Answers(name=folder.name, about=about(case)))
                _write(files)
            generated = commits.commit(files, made.version)
            git.git("update-ref", "HEAD", generated)
            git.git("reset", "--quiet")
            if case:
                git.git("add", "--all")
                git.git("commit", "--quiet", "--message", f"Adopt {read_params().case}")
    except BaseException:
        _empty(folder)
        for path in missing:
            path.rmdir()
        raise
    name = read_params(folder / PARAMS).case if case else None
    return Begun(folder, sorted(files), [], generated, [], name)


def add(folder: Path, made: Template, case: Case | None) -> Begun:
    """Add to a repository what it lacks, in a commit of its own; nothing that is there is touched.

    What the template generated is the second parent of this commit, for upgrades. A case that is adopted is
    left to its owner to commit.

    Raises
    ------
    PerenneError
        If it cannot be a project, or is one; then the repository is as it was.

    """
    with chdir(folder):
        commits.identity()
        commits.branch()
        before = commits.newest()
        if before:
            raise PerenneError(
                f"{folder}: has the template of perenne {before.version} already; perenne upgrade renews it"
            )
        _must_be_ours()
        files = template.filled(made, Answers(name=folder.name, about=NO_CASE))
        missing = {path: content for path, content in files.items() if _missing(Path(path))}
        folders = [path for path in _folders(missing) if not path.exists()]
        # All that can fail in Git is done before a file is written.
        generated = commits.commit(files, made.version)
        head = git.commit("HEAD") if git.succeeds("rev-parse", "--verify", "--quiet", "HEAD") else None
        parents = [head, generated] if head else [generated]
        message = f"Add what the template of perenne {made.version} has\n"
        done = commits.write(commits.tree(missing, onto=head), message, *parents)
        try:
            _write(missing)
            if case:
                adopt(case)
        except BaseException:
            for path in missing:
                Path(path).unlink(missing_ok=True)
            for made_here in folders:
                if made_here.is_dir() and not any(made_here.iterdir()):
                    made_here.rmdir()
            raise
        git.git("update-ref", "HEAD", done)
        commits.stage(missing)
        left = sorted(files.keys() - missing.keys())
        exposed = _exposed(files[IGNORED]) if IGNORED in left else []
        name = read_params(PARAMS).case if case else None
    return Begun(folder, sorted(missing), left, generated, exposed, name)


def about(case: Case) -> str:
    """What the adopted case predicts, for the README."""
    name = read_params(PARAMS).case
    contract = read_contract(name)
    return (
        f"It predicts `{contract.target}` ({contract.task}) from {case.files}, "
        f"in batches of a {contract.period}.\n"
        f"The contract `data/cases/{name}/contract.yaml` says what a row is."
    )


def keep_results() -> None:
    """Commit what `dvc repro` has made in the new project that is the current folder."""
    git.git("add", "--all")
    git.git("commit", "--quiet", "--message", f"Reproduce {read_params().case}")


def ignoring() -> list[str]:
    """The `.gitignore` files under `data/` that are not committed: DVC writes there what it makes."""
    under = f":(glob)data/**/{IGNORED}"
    options = ("--modified", "--others", "--exclude-standard", "-z")
    return sorted(filter(None, git.git("ls-files", *options, "--", under).split("\0")))


def next_step(folder: Path, *, case: str | None, ran: bool, own: bool, ignoring: Sequence[str] = ()) -> str:
    """What to do with a project that was made.

    Parameters
    ----------
    folder
        Of the project.
    case
        The name of the case that was adopted, if any.
    ran
        Whether the pipeline ran on it.
    own
        Whether the repository is the project's own: then all of it is committed.
    ignoring
        Files that DVC has changed on the way, see `ignoring`.

    """
    first = "perenne adopt FILES --target COLUMN --time COLUMN"
    if case:
        first = "make test" if ran else "make repro"
        if not own:
            within = (f"{CASES}/", f"{INCOMING}/")
            changed = [str(LOCK)] * ran + [path for path in ignoring if not path.startswith(within)]
            files = shlex.join([str(CASES), str(INCOMING), str(PARAMS), *changed])
            first = f'git add {files} && git commit -m "Adopt {case}" && {first}'
    return f"{folder} is a project of yours; next: cd {shlex.quote(str(folder))} && {first}"


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say in one line why a file or folder cannot be written."""
    try:
        yield
    except OSError as error:
        raise PerenneError(f"{path}: {error.strerror or error}; use a folder that you can write to") from None


def _must_be_ours() -> None:
    """Check that nothing in the current folder stands where a project has its pipeline or its params.

    Raises
    ------
    PerenneError
        If something does.

    """
    instead = "; move it elsewhere, or perenne new FOLDER makes a project beside this one"
    if DAG.exists() and "python -m stages.train" not in DAG.read_text(encoding="utf-8", errors="replace"):
        raise PerenneError(f"{DAG}: is a pipeline of another shape{instead}")
    params = strict_yaml.load(PARAMS) if PARAMS.exists() else {"case": None}
    if not (isinstance(params, dict) and "case" in params):
        raise PerenneError(f"{PARAMS}: has no case, so it is not of Perenne{instead}")


def _exposed(template: bytes) -> list[str]:
    """What the template's `.gitignore` names, and that of the current folder does not."""
    here = {line.strip("/") for line in Path(IGNORED).read_text(encoding="utf-8", errors="replace").split()}
    return [line for line in template.decode().split() if line.strip("/") not in here]


def _folders(names: Iterable[str]) -> list[Path]:
    """The folders of files, the deepest first."""
    found = {parent for name in names for parent in Path(name).parents}
    return sorted(found - {Path()}, key=lambda path: len(path.parts), reverse=True)


def _missing(path: Path) -> bool:
    """Whether a file can be added without touching anything that is there."""
    return not os.path.lexists(path) and all(
        parent.is_dir() and not parent.is_symlink() for parent in path.parents if os.path.lexists(parent)
    )


def _write(files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = Path(name)
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
