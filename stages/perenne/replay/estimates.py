"""How right estimates without labels would have been, for a model that is never retrained."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

import numpy as np

from perenne.common import predicted
from perenne.documents.replay import EstimateErrors
from perenne.replay.world import World
from perenne.stats.metrics import METRICS
from perenne.watch import concept, labelfree
from perenne.watch.validated import by_period


def errors(world: World) -> tuple[EstimateErrors, ...]:
    """Estimate every batch of a history by the first model, and compare with its labels, in hindsight.

    Returns
    -------
    By metric, first of the batches before the first known break. None where labels are never late.

    """
    plan, contract, cut = world.plan, world.contract, world.plan.cut(world.first)
    if not contract.label_delay:
        return ()
    p = plan.params
    validated = concept.labelled(world.validated(cut), contract)
    seen_before = by_period(validated, contract)
    watched = concept.watched(seen_before, contract, p.tolerance, periods=p.drift.periods_per_false_alarm)
    late = labelfree.LabelFree(seen_before, watched, contract, seed=p.drift.seed)
    y, score = predicted.outcomes(validated, contract), predicted.scores(validated, contract)
    one = np.ones(len(y))
    seen: dict[tuple[Literal["before", "after"], str], list[tuple[float, float, bool]]] = defaultdict(list)
    for period in (each for each in world.files if cut.first_news <= each <= world.last):
        rows = predicted.assign(world.rows(period), world.scores(cut, period), contract)
        found = labelfree.realised(late.estimate(rows), rows, contract)
        changed = any(period >= each for each in plan.breaks)
        for each in found.metrics if found else ():
            if each.realised is None:
                continue
            on_validation = METRICS[each.metric].prepare(y, score)(one)
            seen["after" if changed else "before", each.metric].append(
                (
                    abs(each.estimate - each.realised),
                    abs(on_validation - each.realised),
                    each.low <= each.realised <= each.high,
                )
            )
    return tuple(
        EstimateErrors(
            when=when,
            metric=metric,
            batches=len(every),
            error=float(np.mean([error for error, _, _ in every])),
            of_validation=float(np.mean([error for _, error, _ in every])),
            covered=float(np.mean([inside for _, _, inside in every])),
        )
        for (when, metric), every in seen.items()
    )


def pooled(histories: Iterable[tuple[EstimateErrors, ...]]) -> tuple[EstimateErrors, ...]:
    """The means over the batches of several histories."""
    by_name: dict[tuple[Literal["before", "after"], str], list[EstimateErrors]] = defaultdict(list)
    for each in (line for history in histories for line in history):
        by_name[each.when, each.metric].append(each)
    return tuple(
        EstimateErrors(
            when=when,
            metric=metric,
            batches=sum(each.batches for each in every),
            **{
                name: float(np.average([getattr(e, name) for e in every], weights=[e.batches for e in every]))
                for name in ("error", "of_validation", "covered")
            },
        )
        for (when, metric), every in by_name.items()
    )
