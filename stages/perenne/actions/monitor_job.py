"""The loop on GitHub: monitor, act on the decision, and report it on the run's page."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from perenne.actions import runner
from perenne.pages.text import plain

DECISION = Path("loop/decision.json")


def monitor() -> str:
    """Monitor and, if the decision says so, retrain; return a message for the log.

    A rejected retraining does not fail the run: an issue says that experiments are needed.
    """
    from perenne.loop import retrain

    runner.configure_dvc()
    with runner.rights():
        outcome = retrain.retrain(
            datetime.now(UTC).replace(tzinfo=None), os.environ.get("THROUGH") or None, push=True
        )
    outcome.decision.write(DECISION)
    runner.summary("\n".join(f"- {plain(line)}" for line in outcome.lines))
    runner.flag("offered", value=outcome.answer == "eligible")
    message = "\n".join(outcome.lines)
    return f"::warning::{message}" if outcome.answer == "rejected" else message
