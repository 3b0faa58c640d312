"""A process that serves a version with its own code, beside the one that served until then."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress

from perenne.serving.channel import Channel

MODULE = "perenne.serving.heir"
# -P and -s: no module from the current folder, which is a working tree, nor from the user's own packages.
ISOLATED = ("-P", "-s", "-m")


class Spawned:
    """A child of this process.

    Parameters
    ----------
    pid
        Of the process.
    channel
        To it.

    """

    def __init__(self, pid: int, channel: Channel, process: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self.channel = channel
        self._process = process

    def signal(self, number: int) -> None:
        """Send a signal."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def tell(self, kind: str, *files: int, **says: object) -> None:
        """Send a message; one that has ended meanwhile need not know."""
        with suppress(OSError):
            self.channel.send(kind, *files, **says)

    def kill(self) -> int:
        """End it at once; return how it has ended."""
        self.signal(signal.SIGKILL)
        return self.wait()

    def wait(self) -> int:
        """Wait until it has ended; return its exit status, or the negative number of its signal."""
        self.channel.close()
        if self._process:
            return self._process.wait()
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


def spawn(python: str, env: Mapping[str, str], listening: Sequence[int]) -> Spawned:
    """Start a process that waits to be told what to serve.

    Parameters
    ----------
    python
        Its interpreter.
    env
        Variables on top of those of this process.
    listening
        File descriptors of the sockets that the service listens on; it inherits them.

    Raises
    ------
    OSError
        If the interpreter cannot be started.

    """
    channel, other = Channel.pair()
    with other:
        files = [other.fileno(), *listening]
        process = subprocess.Popen(  # noqa: S603 -- no shell
            [python, *ISOLATED, MODULE, *map(str, files)],
            env=os.environ | env,
            stdin=subprocess.DEVNULL,
            pass_fds=files,
            start_new_session=True,  # Ctrl-C is for the parent, which ends them in order
        )
    return Spawned(process.pid, channel, process)


def ending(status: int) -> str:
    """How a process has ended, in words.

    >>> ending(2), ending(-9)
    ('exit status 2', 'signal SIGKILL')
    """
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"
