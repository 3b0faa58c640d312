"""What each stage of a `dvc repro` costs: its seconds, and the most memory that its processes held."""

from __future__ import annotations

import re
import threading
import time
from typing import NamedTuple

import psutil

STARTS = re.compile(r"Running stage '(?P<stage>[^']+)':")  # as DVC says it
EVERY = 0.05  # seconds between two looks at the memory


class Cost(NamedTuple):
    """Wall-clock seconds, and megabytes (1e6 bytes) resident in all processes of the stage together."""

    seconds: float
    megabytes: float


class Meter:
    """Watches one `dvc repro`: tell it each line that is printed, and read `costs` when it has ended."""

    def __init__(self) -> None:
        self.costs: dict[str, Cost] = {}
        self._stage: str | None = None
        self._began = self._peak = 0.0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, pid: int) -> None:
        """Begin to look at the processes below one; DVC's own memory is nobody's cost."""
        self._thread = threading.Thread(target=self._sample, args=(pid,), daemon=True)
        self._thread.start()

    def line(self, text: str) -> None:
        """Take a line that DVC or a stage printed."""
        found = STARTS.match(text)
        if found:
            self._next(found["stage"])

    def stop(self) -> None:
        """End the last stage."""
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
    """Bytes that the descendants of a process hold in memory; what they share counts for each."""
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
