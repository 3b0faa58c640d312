"""The packages that a version's lock pins: whether an environment has them, and how to make one that has."""

from __future__ import annotations

import csv
import fcntl
import hashlib
import io
import logging
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from perenne.common import git
from perenne.common.errors import PerenneError
from perenne.common.names import CODE_FOLDER, REQUIREMENTS
from perenne.common.typed import Model
from perenne.registry import variables

PERENNE = "perenne"
WHEEL = re.compile(r"(?P<path>\S*?(?P<name>[A-Za-z0-9_.]+)-(?P<version>[^-/\s]+)-[^/\s]+\.whl)(\[[^\]]*\])?")
SECONDS_TO_MAKE = 1_800.0
SECONDS_TO_LOOK = 60.0
MADE = "made"  # the file that is written last
LOOK = "from perenne.serving import lock_environment as here; print(here.here().model_dump_json())"

logger = logging.getLogger("perenne.serve")


class Pin(NamedTuple):
    """A package of a lock: its normalized name, its version, and the wheel if the project brings it along."""

    name: str
    version: str
    wheel: str | None = None


class Environment(Model):
    """An environment that a process can run in.

    Attributes
    ----------
    python
        Its interpreter.
    path
        What is first on the path of its modules.
    versions
        Of its packages, by normalized name.
    library
        The hash of the files of the library; empty for a development install, which can be any.

    """

    python: str
    path: list[str]
    versions: dict[str, str]
    library: str

    def same(self, other: Environment) -> bool:
        """Whether both have the same packages."""
        return (self.versions, self.library) == (other.versions, other.library)


def pins_library(lock: bytes) -> bool:
    """Whether a lock pins the library itself, as that of a project of one's own does."""
    return any(pin.name == PERENNE for pin in pins(lock, str(REQUIREMENTS)))


def pins(lock: bytes, name: str) -> list[Pin]:
    """The packages that a lock pins for this interpreter on this machine.

    Parameters
    ----------
    lock
        The text of requirements.txt.
    name
        What an error calls it.

    Raises
    ------
    PerenneError
        If a line pins nothing; it names the line.

    """
    found = []
    text = re.sub(r"\\\r?\n", " ", lock.decode("utf-8", "replace"))
    for line in text.splitlines():
        wanted = re.sub(r"(^|\s)(#.*|--hash=\S+)", " ", line).strip()
        if not wanted or wanted.startswith("-"):
            continue
        if match := WHEEL.match(wanted):
            found.append(Pin(canonicalize_name(match["name"]), match["version"], match["path"]))
            continue
        try:
            requirement = Requirement(wanted)
        except InvalidRequirement as error:
            raise PerenneError(f"{name}: {wanted!r:.60} pins no package; such as numpy==2.4.0") from error
        if requirement.marker is None or requirement.marker.evaluate():
            version = str(requirement.specifier).removeprefix("==")
            found.append(Pin(canonicalize_name(requirement.name), version))
    return found


@cache
def here() -> Environment:
    """The environment of this process."""
    versions = {str(canonicalize_name(one.name)): one.version for one in distributions() if one.name}
    own = os.environ.get(CODE_FOLDER)
    path = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry not in ("", own)]
    return Environment(python=sys.executable, path=path, versions=versions, library=_library())


def unmet(lock: bytes, commit: str, environment: Environment) -> str | None:
    """The first package that an environment has not as a lock pins it; None if it has them all.

    What it has besides does not count. The pinned sets are compared, not the texts: a comment is no change.

    Parameters
    ----------
    lock
        The text of requirements.txt.
    commit
        Which has it, and the wheels that it names.
    environment
        What is looked into.

    """
    for pin in pins(lock, f"{REQUIREMENTS} of {commit:.12}"):
        version = environment.versions.get(pin.name)
        if version is None:
            return f"{pin.name} {pin.version}, which is not installed"
        if version != pin.version:
            return f"{pin.name} {pin.version}, installed is {version}"
        library = environment.library if pin.name == PERENNE else ""
        if pin.wheel and library and library != _of_wheel(commit, pin.wheel):
            return f"{pin.name} {pin.version} of another build"
    return None


def intact(environment: Environment) -> bool:
    """Whether an environment still has what it had when it was looked into.

    Where a service runs in `.venv` of a working tree, the next `make repro` there may install other packages.
    """
    env = variables.stages() | {CODE_FOLDER: os.devnull, "PYTHONPATH": os.pathsep.join(environment.path)}
    try:
        done = subprocess.run(  # noqa: S603 -- no shell
            [environment.python, "-P", "-s", "-c", LOOK],
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=SECONDS_TO_LOOK,
        )
        return environment.same(Environment.model_validate_json(done.stdout))
    except (OSError, ValueError, subprocess.TimeoutExpired):  # it is gone, or of another library
        return False


def made(lock: bytes, commit: str, tag: str) -> Environment:
    """The environment of a lock, which is made unless it is there. It is kept, and counts once it is whole.

    Parameters
    ----------
    lock
        The text of requirements.txt.
    commit
        Which has it, and the wheels that it names.
    tag
        What an error calls the commit.

    Raises
    ------
    PerenneError
        If it cannot be made: the last line of what says why.

    """
    known = hashlib.sha256(lock + sys.version.encode()).hexdigest()[:12]
    pinned = pins(lock, f"{REQUIREMENTS} of {tag}")
    place = git.folder() / PERENNE / "serve" / f"environment-{known}"
    python = place / "venv" / "bin" / "python"
    with _alone(place):
        if not (place / MADE).exists():
            logger.info("%s: making an environment from its %s", tag, REQUIREMENTS)
            shutil.rmtree(place, ignore_errors=True)
            wheels = {pin.wheel: git.show(commit, Path(pin.wheel)) for pin in pinned if pin.wheel}
            for name, content in {str(REQUIREMENTS): lock, **wheels}.items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_bytes(content)
            for command in _commands(python):
                _run(command, place, f"{tag}: no environment can be made of its {REQUIREMENTS}")
            (place / MADE).touch()
    versions = {pin.name: pin.version for pin in pinned}
    library = [_of_wheel(commit, pin.wheel) for pin in pinned if pin.wheel and pin.name == PERENNE]
    return Environment(python=str(python), path=[], versions=versions, library="".join(library))


def _commands(python: Path) -> list[list[str]]:
    """What makes an environment, as the Makefile of a project does; by pip where uv is not installed."""
    folder = str(python.parents[1])
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv:
        sync = [uv, "pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode"]
        return [
            [uv, "venv", "--quiet", "--python", sys.executable, folder],
            [*sync, "--python", str(python), str(REQUIREMENTS)],
        ]
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return [
        [sys.executable, "-m", "venv", folder],
        [*pip, "--no-deps", "--require-hashes", "--requirement", str(REQUIREMENTS)],
    ]


def _run(command: list[str], folder: Path, what: str) -> None:
    env = variables.stages() | variables.packages()
    try:
        done = subprocess.run(  # noqa: S603 -- no shell
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=SECONDS_TO_MAKE,
        )
    except subprocess.TimeoutExpired as error:
        raise PerenneError(f"{what}: not within {SECONDS_TO_MAKE:g} s") from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise PerenneError(f"{what}: {said[:400] or f'exit status {done.returncode}'}")


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Let two services of one repository make it one after the other."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _library() -> str:
    """The hash of the installed library; empty if it runs from its sources."""
    try:
        return _hashed(distribution(PERENNE).read_text("RECORD") or "")
    except PackageNotFoundError:
        return ""


def _of_wheel(commit: str, path: str) -> str:
    """The same hash of a wheel in a commit."""
    try:
        with zipfile.ZipFile(io.BytesIO(git.show(commit, Path(path)))) as wheel:
            (record,) = [name for name in wheel.namelist() if name.endswith(".dist-info/RECORD")]
            return _hashed(wheel.read(record).decode())
    except (zipfile.BadZipFile, ValueError) as error:
        raise PerenneError(f"{path} of {commit:.12}: not a wheel") from error


def _hashed(record: str) -> str:
    rows = [row[:2] for row in csv.reader(record.splitlines()) if row and row[0].startswith(f"{PERENNE}/")]
    lines = sorted(",".join(row) for row in rows if not row[0].endswith(".pyc"))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines else ""
