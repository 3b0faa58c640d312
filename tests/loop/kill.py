"""A retraining that is killed after one of its steps, as by a machine that loses power."""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime
from pathlib import Path

from perenne.documents.decision import MonitorDecision
from perenne.loop import monitor, retrain
from perenne.registry import tags


def monitored(decision: MonitorDecision) -> MonitorDecision:
    """Return the monitor's decision; after it has been acted on, one that there is nothing to do."""
    prod = tags.read("retirement").in_stage("prod")
    if prod is None or prod.version == decision.champion.version:
        return decision
    changed = {"version": prod.version, "commit": prod.commit, "as_of": decision.through}
    champion = decision.champion.model_copy(update=changed)
    return decision.model_copy(update={"answer": "nothing", "reasons": (), "champion": champion})


def main(decision: str, last: str) -> None:
    """Retrain by a known decision, and be killed after a step."""

    def step(line: str) -> None:
        print(line, flush=True)
        if line.partition(":")[0] == last:
            os.kill(os.getpid(), signal.SIGKILL)

    monitor.monitor = lambda *_: monitored(MonitorDecision.load(Path(decision)))
    retrain.step = step
    retrain.retrain(datetime(2030, 1, 1), push=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
