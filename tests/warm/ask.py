"""Stands in for `python`, `dvc` and `perenne`: a warm process runs them, or, where none is, the real command.

Every command of every test starts here, so nothing is imported that is written in Python.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # what `signal` is made of
import _socket
import array
import marshal
import os
import resource
import sys
import zlib

TYPE_CHECKING = False  # the module `typing` takes longer than all of this
if TYPE_CHECKING:
    from collections.abc import Mapping

# Read when an interpreter or a library starts: a process that runs already could not heed them.
PREFIXES = ("PYTHON", "OMP_", "OPENBLAS_", "MKL_", "GOMP_", "NPY_", "LC_", "LANG", "LD_", "MALLOC_", "TZ")
# Of Python's own, `serve.py` heeds these. How threads wait does not matter where there is one.
HEEDED = (
    *("PYTHONPATH", "PYTHONSAFEPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"),
    "OMP_WAIT_POLICY",
)
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def address(folder: str, env: Mapping[str, str]) -> str:
    """Return the socket of the process that has started with these variables, but for those it can heed."""
    heeded = sorted((name, env[name]) for name in env if name.startswith(PREFIXES) and name not in HEEDED)
    return f"{folder}/{zlib.crc32(repr(heeded).encode()):08x}"


def main(command: str) -> None:
    """Run a command of this environment as if it were started here."""
    folder, name = os.path.split(os.path.dirname(command))[0], os.path.basename(command)  # noqa: PTH119, PTH120
    real, argv = f"{os.readlink(folder + '/real')}/{name}", sys.argv[1:]  # noqa: PTH115
    if not name.startswith("python"):
        argv.insert(0, real)
    if understood(argv):
        warm = _socket.socket(_socket.AF_UNIX)
        try:
            warm.connect(address(folder, os.environ))
        except OSError:
            warm.close()
        else:
            end(asked(warm, f"{folder}/bin/python", argv))
    os.execv(real, [real, *sys.argv[1:]])  # noqa: S606 -- the command that was asked for


def understood(argv: list[str]) -> bool:
    """Whether this is a way to start Python that `serve.py` knows: [-P] [-u] and then -m, -c, or a file."""
    rest = [word for word in argv if word not in ("-P", "-u")]
    return bool(rest) and (rest[0] in ("-m", "-c") or not rest[0].startswith("-"))


def asked(warm: _socket.socket, executable: str, argv: list[str]) -> int:
    """Hand over what a process inherits; return what it has ended with, as `os.waitpid` says it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it takes the lowest number that is free
    limits = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
    umask = os.umask(0)
    os.umask(umask)
    request = {
        "executable": executable,
        "argv": argv,
        "cwd": os.getcwd(),  # noqa: PTH109 -- pathlib takes longer than all of this
        "env": dict(os.environ),
        "umask": umask,
        "limits": [(number, resource.getrlimit(number)) for number in limits],
    }
    body = marshal.dumps(request)
    streams = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", range(3)))
    warm.sendmsg([len(body).to_bytes(4, "big")], [streams])
    warm.sendall(body)
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _: warm.sendall(bytes([number])))
    status = b""
    while len(status) < 4:
        more = warm.recv(4 - len(status))
        if not more:
            return int(signal.SIGKILL)  # as the warm process was
        status += more
    return int.from_bytes(status, "big")


def end(status: int) -> None:
    """End as the command has ended: with its exit status, or by its signal."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))
