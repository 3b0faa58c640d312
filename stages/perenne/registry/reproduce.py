"""A commit run again from nothing: a clone of its own, an empty DVC cache, the environment of its lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, cast

from perenne.common import git
from perenne.common.errors import PerenneError
from perenne.common.names import REQUIREMENTS
from perenne.registry.meter import Cost, Meter

CACHE_HERE = "the-cache-it-was-cloned-from"  # the name that the clone knows this project's cache by

# What would make the clone's commands work on this project's environment, modules, pipeline or makefile. uv
# takes VIRTUAL_ENV before the .venv beside it: `make venv` in the clone would change the user's own.
OURS = (
    *("VIRTUAL_ENV", "CONDA_PREFIX", "UV_PYTHON", "UV_SYSTEM_PYTHON"),
    *("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH"),
    *("DVC_ROOT", "DVC_STAGE"),
    *("MAKEFLAGS", "MFLAGS", "MAKELEVEL"),
)

# What a runner was given for other work: stages are run by whoever wrote them and the packages that they use.
SECRETS = ("GH_TOKEN", "GITHUB_TOKEN", "DVC_CONFIG", "SIGNING_KEY")

Environment = dict[str, str]


@contextmanager
def checkout(rev: str) -> Iterator[Path]:
    """The project as it is in a commit, in a folder that is removed afterwards, whatever happens.

    It has the data that no stage makes, from the cache or the remote of this project, and no other.
    """
    commit, source = git.commit(rev), git.folder()
    below = git.git("rev-parse", "--show-prefix")
    with TemporaryDirectory(prefix="perenne-") as temporary:
        clone = Path(temporary).resolve() / "clone"
        folder = clone / below
        own = _own(folder)
        # One commit alone, whether or not a branch has it, and from a shallow clone too; nobody's hooks.
        quiet(["git", "init", "--quiet", "--template=", str(clone)], Path(temporary), own)
        fetch = ["fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules"]
        quiet(["git", "-c", "protocol.version=2", *fetch, str(source), commit], clone, own)
        quiet(["git", "-c", "core.hooksPath=/dev/null", "checkout", "--quiet", commit], clone, own)
        if not (folder / ".dvc").is_dir():
            raise PerenneError(f"{rev} has no folder .dvc: nothing in it is kept by DVC")
        configure(folder, own_cache=True)
        bring_inputs(folder)
        yield folder


def configure(folder: Path, *, own_cache: bool) -> None:
    """Let a clone use this project's remotes as its user set them up, and a cache: its own or this one."""
    from dvc.config import Config, ConfigError

    try:
        here, there = Config(".dvc"), Config(str(folder / ".dvc"))
        # Paths in `here` are absolute: a remote beside this project is not one beside the clone.
        cache = str(Path(here["cache"].get("dir", ".dvc/cache")).absolute())
        with there.edit("local") as settings:
            settings["remote"] = here["remote"] | {CACHE_HERE: {"url": cache}}
            settings["core"] |= {"remote": here["core"]["remote"]} if "remote" in here["core"] else {}
            settings["cache"]["dir"] = str(folder / ".dvc" / "cache") if own_cache else cache
    except ConfigError as error:
        raise PerenneError(f".dvc/config: {error}") from error


def has_remote() -> bool:
    """Whether this project has a DVC remote that is the default one."""
    from dvc.config import Config

    return "remote" in Config(".dvc")["core"]


def bring_inputs(folder: Path) -> None:
    """Bring what the `.dvc` files of the commit stand for: the remote is asked for what is not here."""
    own = _own(folder)
    listed = quiet(["git", "ls-files", "-z", "--", "*.dvc"], folder, own)
    targets = [name for name in listed.split("\0") if name]
    if not targets:
        return
    with_dvc = own | {"PATH": _path(Path(sys.executable).parent, own)}
    try:
        dvc(folder, with_dvc, "pull", "--remote", CACHE_HERE, "--", *targets)
    except PerenneError:
        try:
            dvc(folder, with_dvc, "pull", "--", *targets)
        except PerenneError as error:
            raise PerenneError(
                "what the .dvc files of the commit stand for is not all in the cache or the remote; "
                f"dvc push it from where it was added: {error}"
            ) from error


def environment(folder: Path) -> Environment:
    """The environment variables under which a clone's stages run its own code, with its own packages.

    This interpreter's packages are those of the lock here; for another lock the clone makes its own.
    """
    own = _own(folder)
    locks = [path.read_bytes() for path in (REQUIREMENTS, folder / REQUIREMENTS) if path.exists()]
    if len(locks) == 2 and locks[0] == locks[1]:
        return own | {"PATH": _path(Path(sys.executable).parent, own)}
    failed = shown(["make", "venv", f"PYTHON={sys.executable}"], folder, own)
    if failed:
        raise PerenneError(f"{REQUIREMENTS} of the commit is another one, and make venv fails: {failed[-1]}")
    return own | {"PATH": _path(folder / ".venv" / "bin", own)}


def _own(folder: Path) -> Environment:
    """The variables here without those that point to this project; DVC's scratch is in the clone."""
    ours = {*OURS, *SECRETS, *git.git("rev-parse", "--local-env-vars").split()}
    config = ("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")  # a token may be among them; Git does not name these
    kept = {name: v for name, v in os.environ.items() if name not in ours and not name.startswith(config)}
    return kept | {"DVC_SITE_CACHE_DIR": str(folder / ".dvc" / "tmp" / "site")}


def _path(first: Path, own: Environment) -> str:
    return f"{first}{os.pathsep}{own.get('PATH', os.defpath)}"


def run(folder: Path, env: Environment) -> dict[str, Cost]:
    """Run every stage of a clone and return what each cost; a `PerenneError` says which failed, in its words.

    Its results stay in the workspace: `dvc commit` would put them into the cache.
    """
    meter = Meter()
    # Unbuffered: a stage's line must come when the stage begins.
    command = ["dvc", "repro", "--force", "--no-run-cache", "--no-commit"]
    lines = shown(command, folder, env | {"PYTHONUNBUFFERED": "1"}, meter)
    if lines:
        raise PerenneError(why(lines))
    return meter.costs


def keep(folder: Path, env: Environment, *, push: bool = False) -> None:
    """Put what a clone has made into this project's cache, and from there into its remote."""
    configure(folder, own_cache=False)
    dvc(folder, env, "commit", "--force")
    if push:
        dvc(folder, env, "push")


def why(lines: list[str]) -> str:
    """What went wrong in `dvc repro`: the last line of the stage that failed, or DVC's own."""
    place = next((i for i, line in enumerate(lines) if line.startswith("ERROR: ")), 0)
    told, by_dvc = lines[:place], lines[place:]
    what, failed, _ = by_dvc[0].removeprefix("ERROR: ").partition(": failed to run")
    if not failed or not told:
        return " ".join(" ".join(by_dvc).removeprefix("ERROR: ").split())
    own = next((line for line in reversed(told) if line.startswith("error: ")), told[-1])
    return f"{what}: {own.removeprefix('error: ')}"


def shown(command: list[str], folder: Path, env: Environment, meter: Meter | None = None) -> list[str]:
    """Run a command whose output is passed through to stderr: nothing if it succeeds, else its lines."""
    meter = meter or Meter()
    # A session of its own, so that whatever it started can be ended with it.
    with subprocess.Popen(  # noqa: S603 -- no shell of ours
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        output, lines = cast("IO[str]", process.stdout), []
        meter.start(process.pid)
        try:
            for line in output:
                meter.line(line)
                sys.stderr.write(line)
                lines.append(line.rstrip())
        except BaseException:  # Ctrl-C first of all: the folder goes, so who writes to it must be gone
            os.killpg(process.pid, signal.SIGTERM)
            output.read()  # ends when the last of them has
            raise
        finally:
            meter.stop()
    if not process.returncode:
        return []
    return [line for line in lines if line] or [f"exit status {process.returncode}"]


def dvc(folder: Path, env: Environment, *arguments: str) -> str:
    """Run a short DVC command in a clone and return what it prints."""
    return quiet(["dvc", *arguments], folder, env)


def quiet(command: list[str], folder: Path, env: Environment) -> str:
    """Run a short command and return what it prints; a `PerenneError` says why it failed."""
    done = subprocess.run(  # noqa: S603 -- no shell; arguments are passed as they are
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise PerenneError(f"{command[0]}: {said or f'exit status {done.returncode}'}")
    return done.stdout
