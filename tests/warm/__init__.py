"""Commands that need not start cold: most of a short one's time goes into importing pandas, sklearn and DVC.

In `bin` of the folder made here `python`, `dvc`, `gto` and `perenne` are `ask.py`, everything else is the
environment's own. What `ask.py` cannot have from a warm process is run by the real command.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from perenne.pages import engine
from tests.warm import ask

VARIABLE = "PERENNE_TEST_WARM"  # the folder; empty: every command starts from cold
OWNER = "PERENNE_TEST_WARM_OWNER"  # the process with which the warm ones end
HERE = Path(__file__).parent
COLD = Path(sys.prefix) / "bin"
COMMANDS = ("python", "python3", "dvc", "gto", "perenne")
# A process with threads cannot be forked. And two workers with two threads each wait for each other's.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
PATIENCE = 120.0  # seconds for one to get warm: other tests run on the same cores
EVIDENTLY = ("evidently", "evidently.presets", "pandas")


def begin() -> None:
    """Make the folder of the commands, for this process and those that it starts."""
    if VARIABLE not in os.environ and sys.platform == "linux":
        folder = Path(tempfile.mkdtemp(prefix="warm-"))
        make(folder)
        os.environ |= ONE_THREAD | {VARIABLE: str(folder), OWNER: str(os.getpid())}


def finish() -> None:
    """Remove the folder, with which the warm processes end, in the process that has made it."""
    if os.environ.get(OWNER) == str(os.getpid()):
        shutil.rmtree(os.environ[VARIABLE])


def make(folder: Path) -> None:
    """Make a folder that looks like the environment and is it, but for the commands."""
    for entry in COLD.parent.iterdir():
        if entry.name != "bin":
            (folder / entry.name).symlink_to(entry)
    (folder / "real").symlink_to(COLD)
    (folder / "bin").mkdir()
    for command in COLD.iterdir():
        (folder / "bin" / command.name).symlink_to(command)
    for name in COMMANDS:
        stand_in = folder / "bin" / name
        stand_in.unlink()
        stand_in.write_text(
            f"#!{Path(sys.base_prefix) / 'bin' / 'python3'} -IS\n"
            f"import sys\nsys.path.insert(0, {str(HERE)!r})\n"
            f"import ask\nask.main({str(stand_in)!r})\n",
            encoding="utf-8",
        )
        stand_in.chmod(0o755)


def commands() -> Path:
    """Return the folder of the commands to test with. From now on, warm processes get ready."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        return COLD
    _start(Path(folder), dict(os.environ))
    _start(Path(folder), os.environ | engine.ENVIRONMENT, *EVIDENTLY)
    return Path(folder) / "bin"


def environment(env: dict[str, str]) -> Path:
    """Return the environment whose commands are those; they are to be warm with other variables than here."""
    folder = os.environ.get(VARIABLE)
    if folder:
        _start(Path(folder), env | {OWNER: os.environ[OWNER]})
    return Path(folder or sys.prefix)


def wait() -> None:
    """Wait until commands are warm: before work that takes longer than that."""
    until = time.monotonic() + PATIENCE
    commands()
    addresses = [log.with_suffix("") for log in Path(os.environ.get(VARIABLE, COLD)).glob("*.log")]
    while not all(path.exists() for path in addresses) and time.monotonic() < until:
        time.sleep(0.05)


def _start(folder: Path, env: dict[str, str], *names: str) -> None:
    """Start a process that will have imported some modules, or all that our commands need, unless one was."""
    path = Path(ask.address(str(folder), env))
    try:
        log = path.with_suffix(".log").open("x", encoding="utf-8")
    except FileExistsError:
        return
    with log:
        command = [str(COLD / "python"), str(HERE / "serve.py"), str(path), env[OWNER], *names]
        streams = [(os.POSIX_SPAWN_DUP2, log.fileno(), number) for number in (1, 2)]
        os.posix_spawn(command[0], command, env, file_actions=streams)  # it ends by itself
