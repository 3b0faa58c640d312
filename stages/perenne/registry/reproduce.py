"""A clean rerun of a commit: in a new clone, with an empty DVC cache and the environment of its lock."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, cast

from perenne.common import git
from perenne.common.errors import PerenneError
from perenne.common.names import REQUIREMENTS
from perenne.registry import variables
from perenne.registry.meter import Cost, Meter

Environment = dict[str, str]
RemoteSettings = dict[str, object]  # as DVC reads them
DVCSettings = dict[str, dict[str, Any]]  # of DVC, which has no types


@contextmanager
def checkout(rev: str) -> Iterator[Path]:
    """Give a folder with the project as it is in a commit; it is always removed afterwards.

    It holds the data that no stage makes, from this project's cache or remote, and no other data.

    Parameters
    ----------
    rev
        The commit.

    Yields
    ------
    Path
        The project's folder in a new clone, whose DVC cache is its own.

    Raises
    ------
    PerenneError
        If the commit does not use DVC, or its inputs are unavailable; or if it has a link to a place outside.

    """
    commit, source = git.commit(rev), git.folder()
    below = git.git("rev-parse", "--show-prefix")
    with TemporaryDirectory(prefix="perenne-") as temporary:
        clone = Path(temporary).resolve() / "clone"
        folder = clone / below
        own = _own(folder)
        # Only this commit, on a branch or not, also from a shallow clone; without hooks.
        kind = f"--object-format={git.git('rev-parse', '--show-object-format')}"
        quiet(git.command("init", "--quiet", "--template=", kind, str(clone)), Path(temporary), own)
        # FETCH_HEAD would tell the stages where this project is.
        fetch = git.command(
            *("fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head", str(source), commit)
        )
        quiet(["git", "-c", "protocol.version=2", *fetch[1:]], clone, own)
        quiet(git.command("checkout", "--quiet", commit), clone, own)
        _no_way_out(clone)
        if not (folder / ".dvc").is_dir():
            raise PerenneError(f"{rev} has no folder .dvc: it does not use DVC")
        bring_inputs(folder, own_cache=True)
        yield folder


def _no_way_out(clone: Path) -> None:
    """Refuse links that lead out of a clone: what is written or deleted behind them is not the clone's."""
    for root, folders, names in os.walk(clone):
        for path in (Path(root, name) for name in (*folders, *names)):
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(clone):
                where = path.relative_to(clone)
                raise PerenneError(f"{where}: leads out of the repository, to {path.readlink()}; remove it")


def configure(folder: Path, *, own_cache: bool, remotes: bool = True) -> None:
    """Configure a clone's DVC: its own cache or this one, and this project's remotes with local settings.

    Parameters
    ----------
    folder
        The project's folder in the clone. Its local DVC configuration is written anew.
    own_cache
        Use a cache in the clone, instead of this project's.
    remotes
        Without them nothing in the clone tells where data are, and with which key: stages can read it.

    Raises
    ------
    PerenneError
        If a configuration of DVC cannot be read.

    """
    from dvc.config import Config, ConfigError

    local = folder / ".dvc" / "config.local"
    local.unlink(missing_ok=True)  # the one that was written before, or one that the commit has
    try:
        here = Config(".dvc")
        # Paths in `here` are absolute: a relative remote would be beside the clone.
        settings = Config(str(folder / ".dvc")).load_one("local")
        if remotes:
            settings["remote"] = dict(here["remote"])
            settings["core"] |= {"remote": here["core"]["remote"]} if "remote" in here["core"] else {}
        settings["cache"]["dir"] = str(folder / ".dvc" / "cache") if own_cache else _cache()
        _write(settings, local)
    except ConfigError as error:
        raise PerenneError(f".dvc/config: {error}") from error


def _cache() -> str:
    """The cache of this project."""
    from dvc.config import Config

    return str(Path(Config(".dvc")["cache"].get("dir", ".dvc/cache")).absolute())


def _write(settings: DVCSettings, path: Path) -> None:
    """Write a configuration of DVC. DVC reads UTF-8, but itself writes ASCII (3.67) and fails on `Größe`."""
    from configobj import ConfigObj  # type: ignore[import-untyped]  # it has none; DVC uses it

    sections = {name: values for name, values in settings.items() if name != "remote" and values}
    sections |= {f'remote "{name}"': values for name, values in settings["remote"].items()}
    with path.open("wb") as file:
        ConfigObj(sections, encoding="utf-8", interpolation=False).write(file)


def has_remote() -> bool:
    """Return whether this project has a default DVC remote."""
    from dvc.config import Config

    return "remote" in Config(".dvc")["core"]


def bring_inputs(folder: Path, *, own_cache: bool) -> None:
    """Fetch the data of the commit's `.dvc` files, from this project's cache or else its remote.

    Afterwards a clone with a cache of its own knows neither: the stages could read where they are.

    Parameters
    ----------
    folder
        The project's folder in a clone. Its local DVC configuration is written.
    own_cache
        As for `configure`.

    Raises
    ------
    PerenneError
        If data is in neither, or a configuration of DVC cannot be read.

    """
    listed = quiet(git.command("ls-files", "-z", "--", "*.dvc"), folder, _own(folder))
    targets = [name for name in listed.split("\0") if name]
    configure(folder, own_cache=own_cache, remotes=not own_cache)
    if not targets:
        return
    try:
        _stored(folder, {"url": _cache()}, "pull", *targets)
    except PerenneError:
        try:
            _stored(folder, _remote(), "pull", *targets)
        except PerenneError as error:
            raise PerenneError(
                "data of the commit's .dvc files is neither in the cache nor in the remote; "
                f"dvc push it from where it was added: {error}"
            ) from error


def _remote() -> RemoteSettings:
    """The settings of this project's default remote; paths are absolute."""
    from dvc.config import Config

    here = Config(".dvc")
    name = here["core"].get("remote")
    if name not in here["remote"]:
        raise PerenneError("DVC has no default remote")
    return dict(here["remote"][name])


def _stored(folder: Path, remote: RemoteSettings, command: str, *targets: str) -> None:
    """Pull or push data of a clone by this project's DVC, which alone may know the remote and its keys."""
    from dvc.config import Config

    # No commit can know this name. Of a remote that it knows, its own settings would be added to these.
    name = f"remote-{secrets.token_hex(8)}"
    own = _own(folder) | variables.storage()
    own["PATH"] = _path(Path(sys.executable).parent, own)
    local = folder / ".dvc" / "config.local"
    settings = Config(str(folder / ".dvc")).load_one("local")
    try:
        _write(settings | {"remote": settings["remote"] | {name: remote}}, local)
        dvc(folder, own, command, "--remote", name, "--", *targets)
    finally:
        _write(settings, local)


def environment(folder: Path) -> Environment:
    """Return the environment variables that make a clone's stages use its own code and packages.

    With the same requirements lock as here, these are this interpreter's packages; with another lock, the
    clone gets an environment of its own.

    Parameters
    ----------
    folder
        The project's folder in a clone. `make venv` may write a `.venv` there.

    Returns
    -------
    dict
        All variables of the clone's commands: those of `variables.stages`, with a `TMPDIR` in the clone.

    Raises
    ------
    PerenneError
        If the clone needs an environment of its own, and `make venv` fails.

    """
    own = _own(folder) | _scratch(folder)
    locks = [path.read_bytes() for path in (REQUIREMENTS, folder / REQUIREMENTS) if path.exists()]
    if len(locks) == 2 and locks[0] == locks[1]:
        return own | {"PATH": _path(Path(sys.executable).parent, own)}
    failed = shown(["make", "venv", f"PYTHON={sys.executable}"], folder, own | variables.packages())
    if failed:
        raise PerenneError(f"{REQUIREMENTS} of the commit differs, and make venv fails: {failed[-1]}")
    return own | {"PATH": _path(folder / ".venv" / "bin", own)}


def _own(folder: Path) -> Environment:
    """The variables of a clone's commands; DVC's scratch folder is in the clone."""
    return variables.stages() | {"DVC_SITE_CACHE_DIR": str(folder / ".dvc" / "tmp" / "site")}


def _scratch(folder: Path) -> Environment:
    """A folder for temporary files that goes with the clone: the next run finds nothing there."""
    place = folder / ".dvc" / "tmp" / "stages"
    place.mkdir(parents=True, exist_ok=True)
    return {"TMPDIR": str(place)}


def _path(first: Path, own: Environment) -> str:
    return f"{first}{os.pathsep}{own.get('PATH', os.defpath)}"


def run(folder: Path, env: Environment) -> dict[str, Cost]:
    """Run every stage of a clone; return what each cost.

    The results stay in the workspace; `keep` puts them into the cache.

    Parameters
    ----------
    folder
        The project's folder in the clone.
    env
        From `environment`.

    Returns
    -------
    dict
        Stage -> seconds, and megabytes at the peak.

    Raises
    ------
    PerenneError
        If a stage fails: which one, and its error.

    """
    meter = Meter()
    # Unbuffered: the meter needs the line of a stage when the stage starts.
    command = ["dvc", "repro", "--force", "--no-run-cache", "--no-commit"]
    lines = shown(command, folder, env | {"PYTHONUNBUFFERED": "1"}, meter)
    if lines:
        raise PerenneError(why(lines))
    return meter.costs


def keep(folder: Path, env: Environment, *, push: bool = False) -> None:
    """Put a clone's results into this project's cache, and with `push` into its remote.

    Parameters
    ----------
    folder
        The project's folder in a clone whose stages were run. Its DVC uses this project's cache from here on.
    env
        From `environment`.
    push
        Push the results to the default remote as well.

    Raises
    ------
    PerenneError
        If DVC fails: the line in which it says why.

    """
    configure(folder, own_cache=False, remotes=False)
    dvc(folder, env, "commit", "--force")
    if push:
        _stored(folder, _remote(), "push")


def why(lines: list[str]) -> str:
    """Return why `dvc repro` failed, from its output: the last line of the failed stage, or DVC's own.

    Parameters
    ----------
    lines
        What it printed, without line breaks; at least one line.

    """
    place = next((i for i, line in enumerate(lines) if line.startswith("ERROR: ")), 0)
    by_stage, by_dvc = lines[:place], lines[place:]
    stage, failed, _ = by_dvc[0].removeprefix("ERROR: ").partition(": failed to run")
    if not failed or not by_stage:
        return " ".join(" ".join(by_dvc).removeprefix("ERROR: ").split())
    own = next((line for line in reversed(by_stage) if line.startswith("error: ")), by_stage[-1])
    return f"{stage}: {own.removeprefix('error: ')}"


def shown(command: list[str], folder: Path, env: Environment, meter: Meter | None = None) -> list[str]:
    """Run a command and pass its output to stderr; return no line if it succeeds, else its output.

    Parameters
    ----------
    command
        The program and its arguments.
    folder
        The folder to run it in.
    env
        All of its environment variables.
    meter
        It gets each line, and measures the processes; None: no cost is kept.

    Returns
    -------
    list of str
        Empty if the command succeeds, else its lines without empty ones, or its exit status if it printed
        none.

    """
    meter = meter or Meter()
    variables.hide()
    # A session of its own, so that all its processes can be ended.
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
        except BaseException:  # such as Ctrl-C: the folder is removed, so nothing may write to it
            os.killpg(process.pid, signal.SIGTERM)
            output.read()  # returns when the last process has ended
            raise
        finally:
            meter.stop()
    if not process.returncode:
        return []
    return [line for line in lines if line] or [f"exit status {process.returncode}"]


def dvc(folder: Path, env: Environment, *arguments: str) -> str:
    """Run a short DVC command in a clone; return what it prints."""
    return quiet(["dvc", *arguments], folder, env)


def quiet(command: list[str], folder: Path, env: Environment) -> str:
    """Run a short command; return what it prints.

    Parameters
    ----------
    command
        The program and its arguments.
    folder
        The folder to run it in.
    env
        All of its environment variables.

    Raises
    ------
    PerenneError
        If the exit status is not 0: the program, and what it printed to stderr, or else to stdout.

    """
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
        reason = " ".join((done.stderr or done.stdout).split())
        raise PerenneError(f"{command[0]}: {reason or f'exit status {done.returncode}'}")
    return done.stdout
