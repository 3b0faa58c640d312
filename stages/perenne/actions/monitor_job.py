"""The loop on GitHub: monitor, act on the decision, and report it on the run's page.

Three jobs, as for a release: `watch` may read the data remote and says whether to retrain, `build` runs the
stages of the candidates and may write nothing, `monitor` may push, runs no stage, and takes from `build` only
bytes with the hash that a candidate's lock names. The decision is the same in all three: it depends on the
history alone.
"""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

from perenne import forge
from perenne.actions import artifact, handover, release_job, runner
from perenne.common import git, notes
from perenne.common.errors import PerenneError
from perenne.common.names import LOCK
from perenne.documents.decision import MonitorDecision, OfferedCut
from perenne.pages.text import plain
from perenne.registry import tags
from perenne.review import rerun

DECISION = Path("loop/decision.json")
MOST_REASON = 100_000  # bytes of why a candidate cannot be built
BUILT = Path("built")  # the folder that `build` leaves, and the artifact's name in monitor.yml


def watch() -> str:
    """Bring what `build` starts from into DVC's cache: it has no key to the remote. No stage is run.

    The step's output `retrain` says whether there is a candidate to build.
    """
    runner.configure_dvc()
    with runner.rights():
        tags.fetch()
        notes.fetch()
    unavailable = rerun.bring_inputs()
    candidates = _candidates(_decision())
    runner.flag("retrain", value=bool(candidates))
    return f"{len(candidates)} candidate(s) to build{unavailable}"


def build() -> str:
    """Build the candidates of a retraining and hand them over; return a message for the log.

    This runs the pipeline's own code, so its job has no secret and may write nothing. Of a candidate that
    cannot be built the reason is handed over.
    """
    from perenne.loop import attempt, worktree

    base, here = git.commit("HEAD"), Path.cwd()
    rerun.bring_inputs(fetching=False)  # if that fails, the decision says what it lacks
    decision = _decision()
    candidates = _candidates(decision)
    (here / BUILT).mkdir(parents=True, exist_ok=True)
    with worktree.opened(base):
        for candidate in candidates:
            attempt.prepared(base, decision, candidate)
            try:
                attempt.built(candidate)
            except attempt.UnbuildableError as error:
                (here / BUILT / named(candidate, "error")).write_text(str(error), encoding="utf-8")
                continue
            handover.pack(here / BUILT, decision.champion.commit, named(candidate))
    return f"built: {', '.join(candidate.name for candidate in candidates) or 'nothing'}"


def monitor() -> str:
    """Monitor and, if the decision says so, offer what was built; return a message for the log.

    A rejected retraining does not fail the run: an issue says that experiments are needed.

    Raises
    ------
    PerenneError
        If what was built is missing or damaged, or a step fails.

    """
    from perenne.loop import retrain

    runner.configure_dvc()
    with runner.rights():
        outcome = retrain.retrain(_now(), _through(), push=True, build=taken)
    outcome.decision.write(DECISION)
    runner.summary("\n".join(f"- {plain(line)}" for line in outcome.lines))
    runner.flag("offered", value=outcome.answer == "eligible")
    message = "\n".join(outcome.lines)
    if outcome.answer == "eligible":
        message += release_job.fill_cache(outcome.decision.champion.commit, "HEAD")
    return f"::warning::{message}" if outcome.answer == "rejected" else message


def taken(candidate: OfferedCut) -> None:
    """Put what `build` has handed over of a candidate into the worktree that is the current folder.

    Raises
    ------
    PerenneError
        If it was not built in this run, or bytes do not have their hash; an `UnbuildableError` if it cannot
        be built.

    """
    from perenne.loop.attempt import UnbuildableError

    name, failed = named(candidate), named(candidate, "error")
    with artifact.downloaded(forge.required(), runner.run(), BUILT.name, handover.MOST) as results:
        if results is not None and failed in results.names():
            raise UnbuildableError(" ".join(results.text(failed, MOST_REASON).split()))
        if results is None or name not in results.names():
            raise PerenneError(f"{candidate.name}: was not built in this run; start the workflow again")
        lock = results.text(name, handover.MOST_LOCK).encode()
        handover.unpack(results, lock)
    LOCK.write_bytes(lock)
    rerun.pull()  # what is not new; the gate then checks that all of it is of these params


def named(candidate: OfferedCut, kind: str = "lock") -> str:
    """A candidate's file in the artifact: by what it is, so that no other one is taken for it."""
    return f"{hashlib.sha256(candidate.model_dump_json().encode()).hexdigest()[:16]}.{kind}"


def _decision() -> MonitorDecision:
    from perenne.loop import monitor

    return monitor.monitor(_now(), _through(), offline=True)


def _candidates(decision: MonitorDecision) -> tuple[OfferedCut, ...]:
    from perenne.loop import retrain

    return retrain.needed(decision)


def _through() -> str | None:
    return os.environ.get("THROUGH") or None


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
