"""The loop on GitHub: what has come is watched, and what follows is done, and told on the run's page."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from perenne.forge import runner
from perenne.pages.text import plain

DECISION = Path("loop/decision.json")


def monitor() -> str:
    """Monitor and, if that calls for it, retrain; return what has come of it.

    That experiments are needed is no failure of the run: there is an issue that says so.
    """
    from perenne.loop import retrain

    runner.configure_dvc()
    with runner.rights():
        found = retrain.retrain(
            datetime.now(UTC).replace(tzinfo=None), os.environ.get("THROUGH") or None, push=True
        )
    found.decision.write(DECISION)
    runner.summary("\n".join(f"- {plain(line)}" for line in found.lines))
    runner.output("offered", "true" if found.answer == "eligible" else "false")
    told = "\n".join(found.lines)
    return f"::warning::{told}" if found.answer == "rejected" else told
