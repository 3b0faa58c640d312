"""The code of a version: which files of the project it runs, and which packages, as its commit has them."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import NamedTuple

from perenne.common import git, sections, strict_yaml
from perenne.common.names import CASES, REQUIREMENTS
from perenne.common.project_code import is_named
from perenne.registry.imports import LIBRARY, named_by, texts
from perenne.registry.tags import Version
from perenne.serving import lock_environment

FOLDER = "stages"  # where the project's own code lies
BLOB = ("100644", "100755")  # modes of files in Git; a link could lead anywhere


class CodeFile(NamedTuple):
    """A file of the project's own code: its path from the project's folder, and the id of its content."""

    path: str
    blob: str


class Code(NamedTuple):
    """The code of a version.

    Two versions have the same code if their `files` are equal and the same environment satisfies their locks.

    What counts: the files in `stages/` that a dotted name such as `stages.models.Mine` names, in the section
    `train` of the version's params.yaml or in its contract, at any depth, and all files of `stages/` that
    these import, directly or not. `stages/perenne` does not count: it is the library, and the service runs
    its own. Nor does code that neither the model nor a feature uses.

    A lock counts if it pins the library, as that of a project of one's own does: only then an environment
    made from it can serve. Any other is the operator's business, who has made the environment.

    Attributes
    ----------
    files
        By path; empty for a version without code of its own.
    lock
        The id of the content of requirements.txt; empty if it does not count.
    names
        What the params and the contract name of those files.

    """

    files: tuple[CodeFile, ...] = ()
    lock: str = ""
    names: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """A name for the files: twelve hexadecimal digits, empty without any."""
        lines = "".join(f"{file.blob} {file.path}\n" for file in self.files)
        return hashlib.sha256(lines.encode()).hexdigest()[:12] if lines else ""


def code_of(name: str, version: Version) -> Code:
    """Read the code of a version from its commit, without checking it out.

    Parameters
    ----------
    name
        The model, which is the case.
    version
        Of that model.

    Raises
    ------
    PerenneError
        If the commit has no params.yaml or contract, or one that cannot be read.

    """
    blobs = _blobs(version.commit)
    contract = CASES / name / "contract.yaml"
    declared = strict_yaml.loads(git.text(version.commit, contract), f"{contract} of {version.tag}")
    values = [sections.tree(version.commit).get("train"), declared]

    def read(path: str) -> bytes | None:
        return _content(blobs[path]) if path in blobs and not path.startswith(f"{LIBRARY}/") else None

    files = tuple(CodeFile(path, blobs[path]) for path in sorted(named_by(values, read)))
    lock = blobs.get(str(REQUIREMENTS), "")
    counts = lock and lock_environment.pins_library(_content(lock))
    return Code(files, lock if counts else "", tuple(sorted(filter(is_named, texts(values)))))


def export(code: Code) -> Path:
    """Write the files of a version's code into a folder of their own; return the folder.

    It lies in Git's folder, where no commit and no working tree reaches it, and is named after its content.
    Only those files are in it: a module that no import statement names is missing at once, instead of being
    another version's.
    """
    place = git.folder() / "perenne" / "serve" / f"code-{code.id}"
    partial = place.with_name(f"{place.name}.part")
    for old in (place, partial):
        shutil.rmtree(old, ignore_errors=True)
    for file in code.files:
        target = partial / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_content(file.blob))
        for folder in list(target.relative_to(partial).parents)[:-1]:
            # A package of this folder alone: without the file, Python would look for its rest elsewhere.
            (partial / folder / "__init__.py").touch()
    partial.rename(place)
    return place


def _blobs(commit: str) -> dict[str, str]:
    """The files of a commit that may count, by path from the current folder."""
    listed = git.git("ls-tree", "-r", "-z", commit, "--", FOLDER, str(REQUIREMENTS)).split("\0")
    entries = [(line.split("\t", 1)) for line in listed if line]
    return {path: about.split()[2] for about, path in entries if about.split()[0] in BLOB}


def _content(blob: str) -> bytes:
    return git.blob(blob)
