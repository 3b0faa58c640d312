"""A Python that has imported what our commands import, and forks a process for each command it is asked for.

The process is what the command would be: it has the streams, folder, variables, limits, arguments and module
path of who asked, imports `perenne` and the stages from there, and ends as any interpreter does. Two things
differ: more modules of others are loaded than it would load itself, and it has a session of its own.
"""

from __future__ import annotations

import array
import ast
import atexit
import contextlib
import gc
import importlib
import io
import marshal
import os
import pkgutil
import resource
import runpy
import selectors
import shutil
import signal
import socket
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import prepared  # type: ignore[import-not-found] # beside this file, which is no part of a package where it runs

LIBRARY = Path(__file__).parents[2] / "stages" / "perenne"
OURS = ("perenne", "stages")
ELSEWHERE = "evidently"  # it has a process of its own

Request = dict[str, Any]


class Child(NamedTuple):
    """Who waits for a command, and which it is."""

    client: socket.socket
    command: str


def imported() -> set[str]:
    """Return the modules of others that ours import, anywhere in their text."""
    names: set[str] = set()
    for file in LIBRARY.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in names if name.partition(".")[0] not in (*OURS, ELSEWHERE)}


def of_dvc() -> set[str]:
    """Return the modules of DVC, which it imports command by command."""
    names: set[str] = set()
    for top in ("dvc", "dvc_data", "dvc_objects"):
        package = importlib.import_module(top)
        names |= {module.name for module in pkgutil.walk_packages(package.__path__, f"{top}.", onerror=str)}
    return {name for name in names if not name.endswith("__main__") and ".testing" not in name}


def warm_up(names: set[str]) -> None:
    """Import modules; what cannot be is left to the command that wants it."""
    for name in sorted(names):
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # else a collection in a child would copy all of it


def serve(path: Path, owner: int) -> Request:
    """Fork for each request and tell who asked how the command has ended; return in the children alone."""
    wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    children: dict[int, Child] = {}
    with socket.socket(socket.AF_UNIX) as listening, selectors.DefaultSelector() as waiting:
        new = path.with_suffix(".new")
        listening.bind(str(new))
        listening.listen(64)
        new.rename(path)  # who sees it can connect
        waiting.register(listening, selectors.EVENT_READ)
        waiting.register(wake, selectors.EVENT_READ)
        while path.exists() and lives(owner):
            for key, _ in waiting.select(timeout=1):
                if key.fileobj is listening:
                    client, _ = listening.accept()
                    request = received(client)
                    pid = os.fork()
                    if not pid:
                        for client, _ in children.values():
                            client.close()
                        return request
                    for stream in request["streams"]:
                        os.close(stream)
                    children[pid] = Child(client, " ".join(request["argv"]))
                    waiting.register(client, selectors.EVENT_READ, pid)
                elif key.fileobj == wake:
                    os.read(wake, 4096)
                else:
                    pass_on(key, waiting)
            for pid, status in ended(children):
                client = children.pop(pid).client
                with contextlib.suppress(KeyError):
                    waiting.unregister(client)
                with contextlib.suppress(OSError):
                    client.sendall(status.to_bytes(4, "big"))
                client.close()
    if not lives(owner):  # it was killed
        shutil.rmtree(path.parent, ignore_errors=True)
    os._exit(0)


def lives(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def received(client: socket.socket) -> Request:
    """Read a request, and the streams that come with it."""
    head, rights, _, _ = client.recvmsg(4, socket.CMSG_SPACE(3 * 4))
    streams = array.array("i")
    for _, _, data in rights:
        streams.frombytes(data)
    size, body = int.from_bytes(head, "big"), b""
    while len(body) < size:
        body += client.recv(size - len(body))
    request: Request = marshal.loads(body)  # noqa: S302 -- of the same interpreter, over a socket of the tests
    return request | {"streams": streams}


def pass_on(key: selectors.SelectorKey, waiting: selectors.BaseSelector) -> None:
    """Pass on the signals that who asked was sent; where it was killed, so is the command."""
    client, pid = key.fileobj, key.data
    assert isinstance(client, socket.socket)
    try:
        numbers = client.recv(64)
    except OSError:
        numbers = b""
    if not numbers:
        waiting.unregister(client)
    for number in numbers or [signal.SIGKILL]:
        os.kill(pid, number)  # it is there: nobody but us can have waited for it


def ended(children: dict[int, Child]) -> list[tuple[int, int]]:
    """Return the children that have ended, and how; the log says what each has cost."""
    found = []
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if not pid:
                break
            found.append((pid, status))
            print(f"{usage.ru_utime + usage.ru_stime:6.2f} s  {children[pid].command[:100]!r}", flush=True)
    return found


def become(request: Request) -> list[str]:
    """Make this process what it would be if it had been started; return its arguments."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, stream in enumerate(request["streams"]):
        os.dup2(stream, number)
    os.closerange(3, max(request["streams"]) + 1)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    os.umask(request["umask"])
    for number, limit in request["limits"]:
        resource.setrlimit(number, limit)
    time.tzset()
    argv: list[str] = request["argv"]
    options = [word for word in argv[:2] if word in ("-P", "-u")]
    argv = argv[len(options) :]
    sys.executable = request["executable"]
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    open_streams(unbuffered="-u" in options or bool(os.environ.get("PYTHONUNBUFFERED")))
    first = {"-m": os.getcwd(), "-c": ""}.get(argv[0], str(Path(argv[0]).resolve().parent))  # noqa: PTH109
    safe = "-P" in options or bool(os.environ.get("PYTHONSAFEPATH"))
    more = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [first] * (not safe) + more + sys.path
    sys.path_importer_cache.clear()
    sys.modules["numpy"].random.seed()  # else all of them would draw the same
    return argv


def open_streams(*, unbuffered: bool) -> None:
    """Open the standard streams as a new interpreter does, which this process was."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        was = getattr(sys, f"__{name}__")
        size = 0 if unbuffered and number else -1
        binary = open(number, "wb" if number else "rb", buffering=size, closefd=False)  # noqa: SIM115 -- to stay open
        stream = io.TextIOWrapper(
            binary,
            encoding=was.encoding,
            errors=was.errors,
            line_buffering=number == 2 or os.isatty(number),
            write_through=unbuffered,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def run(argv: list[str]) -> None:
    """Run a module, a text or a file as `__main__`, as Python does."""
    kind, *rest = argv
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    sys.argv = rest if kind == "-m" else [kind, *rest[kind == "-c" :]]
    if kind == "-m":
        runpy._run_module_as_main(rest[0])  # type: ignore[attr-defined] # it is what `python -m` runs
    elif kind == "-c":
        exec(compile(rest[0], "<string>", "exec"), main.__dict__)  # noqa: S102 -- it is `python -c`
    else:
        main.__file__ = str(Path.cwd() / kind)
        code = compile(Path(kind).read_bytes(), main.__file__, "exec")
        exec(code, main.__dict__)  # noqa: S102 -- it is `python FILE`


def whole(argv: list[str]) -> int:
    """Run a command to its end, and return its exit status, as Python does."""
    status: Any = 0
    try:
        run(argv)
    except SystemExit as error:
        status = error.code
    except BaseException as error:  # noqa: BLE001 -- whatever it was
        mine = error.__traceback__
        while mine and mine.tb_frame.f_code.co_filename == __file__:
            mine = mine.tb_next
        sys.excepthook(type(error), error, mine)
        status = 1
        if isinstance(error, KeyboardInterrupt):
            status = -signal.SIGINT
    if not isinstance(status, int | None):
        print(status, file=sys.stderr)
        status = 1
    threading._shutdown()  # type: ignore[attr-defined] # waits for those that are no daemons
    atexit._run_exitfuncs()
    return status or 0


def leave(status: int) -> NoReturn:
    """End without taking all the modules to pieces, which costs more than a short command."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream and not stream.closed:
                stream.flush()
        except OSError:
            status = 120  # as Python says it
    if status == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(status & 0xFF)


if __name__ == "__main__":
    _, _path, _owner, *_names = sys.argv
    del sys.path[0]  # the folder of this file
    _compiled = prepared.compile_ours()
    warm_up({"numpy", *_names} if _names else imported() | of_dvc())
    _request = serve(Path(_path), int(_owner))
    prepared.take(_compiled)
    leave(whole(become(_request)))
