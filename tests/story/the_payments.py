"""The ending by the hour: fraudsters change their ways, and a bank's model is repaired within days.

Real Git, DVC and gate, in a temporary project: the change at an hour, when it is seen, when a repair is
trained that the gate lets through, and its release. `make story` runs it.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from perenne.common.periods import stem
from perenne.common.status import Status
from tests.project import Project, clone

BEGAN = time.monotonic()

ATTACK = pd.Period("2026-03-12 09:00", freq="h")
DELAY = 24  # hours until labels have matured: before that no model can be known to be wrong
SEEN = DELAY + 6  # six hours have some sixty frauds
# What a model learns from must be known, label included, before that begins which judges it, and that must be
# known as well: twice the delay. Eight hours of labels are the fewest that the loop accepts; a day more is
# allowed, since a gate that cannot decide yet waits for more of them.
RELEASED = 2 * DELAY + 8 + 24


def tell(text: str) -> None:
    """Print a step of the story, and when it was."""
    print(f"[{time.monotonic() - BEGAN:4.0f} s] {text}", flush=True)


@pytest.fixture
def bank(tmp_path: Path) -> Project:
    """Return a bank with a bare origin, and a first model of five days in production."""
    ada = clone(tmp_path / "bank" / "ada")
    ada.run("git init -q --bare -b main ../origin.git && git remote add origin ../origin.git")
    ada.run("perenne use payments")
    # A shorter history than the case's own: all that is told here holds for it, in less time.
    ada.edit("start: .*", f"start: {ATTACK - 153}")
    ada.edit("window: .*", "window: 72")
    ada.edit("on_eligible: .*", "on_eligible: release # at three in the morning nobody merges")
    tell(f"a bank's payments by the hour; fraudsters will change their ways at {ATTACK}: dvc repro")
    ada.repro()
    ada.commit("the first model")
    ada.run("git push -q -u origin main && perenne gate --push && perenne release --push")
    tell("the first release: " + ada.out("perenne models").splitlines()[1])
    return ada


def monitored(bank: Project, hours: int) -> dict[str, Any]:
    """Ask the monitor what it knows some hours after the attack; return its decision."""
    bank.run(f"perenne monitor --through {stem(ATTACK + hours)}", status=None)
    decision: dict[str, Any] = json.loads(bank.read("loop/decision.json"))
    assert decision["through"] == str(ATTACK + hours)
    tell(f"  hour {hours:3}: {decision['answer']}: {decision['reasons'][0]}")
    return decision


def retrained(bank: Project, hours: int) -> bool:
    """Let the loop retrain some hours after the attack; return whether it has released a model."""
    done = bank.run(f"perenne retrain --push --through {stem(ATTACK + hours)}", status=None)
    assert done.returncode in (0, Status.REJECTED, Status.UNDECIDED, Status.LOOK), done.stderr
    for line in done.stdout.splitlines():
        tell(f"  hour {hours:3}: {line[:200]}")
    return "v1.0.1" in bank.out("git fetch -q --tags origin && git tag -l")


def agreement(decision: dict[str, Any]) -> float:
    """Return observed by expected frauds over all hours whose labels have matured."""
    known = [window["predictions"] for window in decision["windows"] if window["matured"]]
    return float(sum(one["observed"] for one in known) / sum(one["expected"] for one in known))


def test_an_attack_is_seen_and_repaired(bank: Project) -> None:
    """From the hour of the attack to the release of a model that knows it."""
    decision = monitored(bank, DELAY - 1)
    assert decision["answer"] != "retrain", "no label of the attack has matured"
    assert agreement(decision) == pytest.approx(1, abs=0.3)

    seen = DELAY
    while (decision := monitored(bank, seen))["answer"] != "retrain":
        seen += 1
        assert seen <= SEEN, "the labels since the attack have not been enough"
    changed = pd.Period(decision["since"], freq="h")
    assert abs((changed - ATTACK).n) <= 2, "the change is dated to its hour"
    tell(f"seen {seen} hours after the attack, {seen - DELAY} after its first label; it began at {changed}")

    hours = (pd.Period(decision["wait_for"], freq="h") - ATTACK).n
    assert hours <= 2 * DELAY + 10
    while not retrained(bank, hours):
        hours += 6
        assert hours <= RELEASED, "no repair has passed the gate"
    tell(
        f"repaired and released {hours} hours after the attack: " + bank.out("perenne models").splitlines()[1]
    )

    bank.run("git pull -q --ff-only")
    decision = monitored(bank, hours + 12)
    assert decision["champion"]["version"] == "v1.0.1"
    assert decision["answer"] != "retrain"
    ratio = agreement(decision)
    assert math.isclose(ratio, 1, abs_tol=0.3), ratio
    tell(f"and it holds: observed by expected frauds are {ratio:.2f} since")
