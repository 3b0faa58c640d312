"""The cost of each stage of a `dvc repro`: its seconds, and the peak memory of its processes."""

from __future__ import annotations

import re
import threading
import time
from typing import NamedTuple

import psutil

STARTS = re.compile(r"Running stage '(?P<stage>[^']+)':")  # DVC's line
EVERY = 0.05  # seconds between two measurements of the memory


class Cost(NamedTuple):
    """Wall-clock seconds, and megabytes (1e6 bytes) resident in all processes of the stage."""

    seconds: float
    megabytes: float


class Meter:
    """Measures one `dvc repro`: pass each printed line to `line`, and read `costs` after `stop`."""

    def __init__(self) -> None:
        self.costs: dict[str, Cost] = {}
        self._stage: str | None = None
        self._began = self._peak = 0.0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, pid: int) -> None:
        """Start measuring the descendants of a process; that of DVC itself does not count."""
        self._thread = threading.Thread(target=self._sample, args=(pid,), daemon=True)
        self._thread.start()

    def line(self, text: str) -> None:
        """Take a line that DVC or a stage printed."""
        start = STARTS.match(text)
        if start:
            self._next(start["stage"])

    def stop(self) -> None:
        """End the last stage, and stop measuring."""
        self._over.set()
        if self._thread:
            self._thread.join()
        self._next(None)

    def _next(self, stage: str | None) -> None:
        now = time.perf_counter()
        with self._lock:
            if self._stage:
                self.costs[self._stage] = Cost(now - self._began, self._peak)
            self._stage, self._began, self._peak = stage, now, 0.0

    def _sample(self, pid: int) -> None:
        while not self._over.wait(EVERY):
            held = resident(pid) / 1e6
            with self._lock:
                self._peak = max(self._peak, held)


def resident(pid: int) -> int:
    """Return the resident bytes of a process's descendants; shared memory counts for each of them."""
    total = 0
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return 0
    for child in children:
        try:
            total += child.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
