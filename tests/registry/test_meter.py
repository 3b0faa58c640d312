"""What a stage costs: measured on real processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from perenne.registry.meter import Meter, resident

MB = 80
HOLDER = f"""
import subprocess, sys
child = "held = b'x' * ({MB} * 10**6); print(1, flush=True); input()"
subprocess.run([sys.executable, "-c", child], check=True)
"""


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[str]]:
    """Return a process whose child holds some memory until a line comes."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "1\n"
        yield process
        process.communicate("\n")


def test_memory_of_a_child_counts(holder: subprocess.Popen[str]) -> None:
    """What the process itself holds does not."""
    assert MB * 1e6 < resident(holder.pid) < (MB + 60) * 1e6


def test_each_stage_has_its_own_seconds_and_memory(holder: subprocess.Popen[str]) -> None:
    """A stage begins with the line that DVC prints, and ends with the next, or with the run."""
    meter = Meter()
    meter.start(holder.pid)
    for text in ("Running stage 'one':", "> python -m stages.one", "Running stage 'two':"):
        meter.line(text)
        meter._over.wait(0.3)
    meter.stop()
    assert list(meter.costs) == ["one", "two"]
    assert 0.5 < meter.costs["one"].seconds < 2
    assert meter.costs["one"].megabytes > MB


def test_process_that_is_gone_holds_nothing() -> None:
    """It may end between two looks."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert resident(process.pid) == 0
