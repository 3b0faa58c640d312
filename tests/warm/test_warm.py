"""A command that a warm process runs is the command: what it is given, what it leaves and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from tests.project import ROOT, Project, environment

STATE = """
import os, resource, sys
path = [p for p in sys.path if p != os.environ.get("WARM")]
print(__name__, globals().get("__file__"), sys.argv, sys.prefix, os.getcwd(), sys.stdin.read())
print(path)
for name, value in sorted(os.environ.items()):
    print(name, value if name not in ("PATH", "_") else "")
print(os.umask(0), sys.dont_write_bytecode)
print(resource.getrlimit(resource.RLIMIT_FSIZE), sys.stdout.encoding, sys.stderr.errors, os.getpgid(0) > 0)
print("perenne" in sys.modules, "stages" in sys.modules, sorted(os.listdir("/proc/self/fd"))[:3])
print("an error", file=sys.stderr)
sys.exit(3)
"""
WAYS = [
    "-m state",
    '-c "$(cat state.py)" more',
    "state.py 'a b' c",
    "-P -m state",
    "-u state.py",
    "../p/state.py",
]


@pytest.fixture
def folder(tmp_path: Path) -> Project:
    """Return a folder with a program in it that tells what it sees."""
    project = Project(tmp_path / "p")
    project.write("state.py", STATE)
    project.write("package/__init__.py", "")
    project.write("package/__main__.py", STATE)
    if warm.commands() == warm.COLD:
        pytest.skip("no warm processes here")
    warm.wait()
    return project


def both(project: Project, command: str, **env: str) -> list[subprocess.CompletedProcess[Any]]:
    """Return how a command ends that is run by a warm process, and from cold."""
    cold = f"{warm.COLD}{os.pathsep}{os.environ['PATH']}"
    return [project.run(command, status=None, **env), project.run(command, status=None, PATH=cold, **env)]


@pytest.mark.parametrize("way", [*WAYS, "-m package x"])
def test_command_sees_what_it_would_see(folder: Project, way: str) -> None:
    """Arguments, module path, folder, variables, limits and streams, however Python is started."""
    command = f"umask 027; ulimit -f 5000; echo hello | python {way}"
    mine, cold = both(folder, command, PYTHONPATH=f"{folder.path}:/nowhere", NEW="1")
    assert mine.stdout.splitlines() == cold.stdout.splitlines()
    assert mine.returncode == cold.returncode == 3
    assert mine.stderr == cold.stderr == "an error\n"


def test_commands_are_those_of_the_environment(folder: Project) -> None:
    """A script of the environment is run as its own, and another's libraries are not."""
    for command in ("dvc --version", "gto --version", "perenne --help", "python --version", "dvc nonsense"):
        mine, cold = both(folder, command)
        assert (mine.returncode, mine.stdout, mine.stderr) == (cold.returncode, cold.stdout, cold.stderr)


ENDS = [
    "import os; os.abort()",
    "import os; os._exit(7)",
    "1/0",
    "import sys; sys.exit('no')",
    "import atexit; atexit.register(print, 'bye')",
    "import threading, time; threading.Thread(target=lambda: [time.sleep(0.1), print('bye')]).start()",
    "import sys; sys.stdout.write('not ended')",
    "import os; os.close(1); print(1)",
]


@pytest.mark.parametrize("code", ENDS)
def test_command_ends_as_it_would_end(folder: Project, code: str) -> None:
    """By a status, a signal, an error, or after what it has left to do."""
    mine, cold = both(folder, f'python -c "{code}"')
    assert (mine.returncode, mine.stdout) == (cold.returncode, cold.stdout)
    assert mine.stderr.splitlines()[-1:] == cold.stderr.splitlines()[-1:]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_signal_reaches_the_command(folder: Project, number: int) -> None:
    """Also the one that nobody can pass on."""
    code = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)"
    with subprocess.Popen(
        ["python", "-c", code],
        env=environment(folder.path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        assert pid != process.pid
        process.send_signal(number)
        assert process.stdout.read() == ""  # it has ended: nobody has the stream
        assert process.wait() == -number


def test_variables_that_only_a_new_process_heeds_get_one(folder: Project) -> None:
    """The hash seed, the threads of a library, the time zone."""
    code = "import os; print(os.getppid())"
    servers = {folder.out(f"python -c '{code}'") for _ in range(2)}
    assert len(servers) == 1
    for variable in (
        {"PYTHONHASHSEED": "7"},
        {"OMP_NUM_THREADS": "2"},
        {"TZ": "Asia/Tokyo"},
        {"LC_ALL": "C"},
    ):
        assert folder.out(f"python -c '{code}'", **variable) not in servers


def test_each_command_draws_its_own(folder: Project) -> None:
    """Numbers of both generators, and hashes of nothing that was there before."""
    code = "import random, numpy; print(random.random(), numpy.random.random())"
    drawn = [folder.out(f"python -c '{code}'").split() for _ in range(2)]
    assert not set(drawn[0]) & set(drawn[1])


def test_own_code_is_that_of_the_project(folder: Project) -> None:
    """`perenne` is imported from the copy, as changed there a moment ago."""
    for answer in ("one", "two"):
        folder.write("stages/perenne/__init__.py", f"ANSWER = '{answer}'\n")
        assert folder.out("python -c 'import perenne; print(perenne.ANSWER)'") == f"{answer}\n"


def test_code_that_is_compiled_already_knows_its_place(folder: Project) -> None:
    """Where it was not changed its text is not compiled again, and yet it is the copy's, every time."""
    text = (ROOT / "stages" / "perenne" / "common" / "errors.py").read_text(encoding="utf-8")
    for package in ("perenne", "other"):
        folder.write(f"stages/{package}/__init__.py", "")
        folder.write(f"stages/{package}/errors.py", text)
    printed = "*(m.hint.__code__.co_filename for m in (a, b))"
    code = f"import perenne.errors as a, other.errors as b; print({printed})"
    files = [f"{folder.path}/stages/{package}/errors.py" for package in ("perenne", "other")]
    assert folder.out(f"python -c '{code}'").split() == files
