"""What the service reads of itself when Prometheus scrapes."""

from __future__ import annotations

from collections.abc import Iterator

from perenne.registry import golden
from perenne.serving.connections import Connections
from perenne.serving.follower import Follower
from perenne.serving.log import Log
from perenne.serving.prometheus import Reading
from perenne.serving.served import Served

BUCKETS = 20  # of the histogram of scores, if scores have limits


def readings(
    prod: Follower, shadow: Follower, log: Log, connections: Connections, code: str
) -> Iterator[Reading]:
    """The readings of this process, with how they add up over several.

    Parameters
    ----------
    prod, shadow
        What is served and what is refused.
    log, connections
        Of this process.
    code
        Names the project's own code that it runs; empty if there is none.

    """
    version = prod.live.version.version if prod.live else ""
    labels = {"version": version, "stage": prod.stage}
    yield Reading("model_info", "The version that is served", labels, 1)
    if code:
        yield Reading("model_code_info", "The project's own code that it runs", {"code": code}, 1)
    degraded = prod.standing.degraded
    yield Reading("model_degraded", "Whether monitoring found that the model has become worse", {}, degraded)
    yield Reading("swaps_total", "Versions swapped in since the start", {}, prod.swaps)
    yield Reading("refusals_total", "Versions rejected since the start", {}, prod.refusals)
    for follower in (prod, shadow):
        if follower.refused:
            labels = {
                "stage": follower.stage,
                "what": follower.refused.subject,
                "why": follower.refused.why,
            }
            yield Reading("refused", "A version in the registry that is not served", labels, 1)
    yield Reading("log_pending_rows", "Rows not committed yet", {}, log.pending, "sum")
    yield Reading("log_lag_seconds", "Age of the oldest row not committed yet", {}, log.lag, "max")
    failing = log.failing is not None
    yield Reading(
        "log_failing", "Whether the last write failed, so that predictions do too", {}, failing, "max"
    )
    yield Reading("log_failed_rows_total", "Rows that could not be committed", {}, log.failed, "sum")
    yield from connections.readings()


def score_buckets(served: Served) -> list[float]:
    """The buckets of the histogram of scores: equal between limits, else by the golden scores.

    Parameters
    ----------
    served
        The version that is served.

    """
    if limits := served.contract.task.score_range:
        low, high = limits
        return [low + (high - low) * n / BUCKETS for n in range(1, BUCKETS + 1)]
    released = golden.recorded(served.version).values()
    return sorted({score for score in released if isinstance(score, float)})[::3]
