"""What a batch leads to: its tests as a list, the advice with its reasons, and the advice of the whole."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from perenne.documents.drift import CovariateTest, DriftAdvice, DriftBatch, DriftLevel, StreamState
from perenne.stats.counts import Volume
from perenne.stats.multiplicity import adjusted
from perenne.watch import covariates
from perenne.watch.covariates import Key, Tests


def counted(volumes: Mapping[Key, Volume]) -> dict[str, int | float | str | None]:
    """The figures of all volumes by name, such as `rows: expected`."""
    return {f"{name}: {k}": v for (name, _), each in volumes.items() for k, v in each._asdict().items()}


def advice(
    tests: Tests,
    moved: Mapping[Key, float],
    streams: Iterable[StreamState],
    importance: Mapping[str, float],
    supposed: Iterable[str] = (),
) -> DriftAdvice:
    """The level of one batch with its reasons: first the labels, or the estimates, then the features.

    Parameters
    ----------
    tests
        All tests of the batch.
    moved
        Those that raise an alarm.
    streams
        The streams on its labels; none while those have not matured.
    importance
        Of each feature to the model.
    supposed
        What is wrong by the estimates, while there are no labels.

    Returns
    -------
    `retrain` if a stream has raised the alarm, else `look` if a test has or an estimate, else `none`.

    """
    wrong = [f"{s.says}, since {s.since}" for s in streams if s.alarm]
    ranked = sorted(moved, key=lambda key: -importance.get(key[0], 0.0))
    changed = [covariates.sentence(key, tests[key].effect) for key in ranked]
    reasons = (*wrong, *supposed, *changed)
    level: DriftLevel = "retrain" if wrong else "look" if reasons else "none"
    return DriftAdvice(level=level, reasons=reasons)


def overall(reports: Sequence[DriftBatch], as_of: str) -> DriftAdvice:
    """The advice of the latest batch; but an alarm on labels stays until a retraining.

    Parameters
    ----------
    reports
        One per batch, oldest first.
    as_of
        The last period of the reference; only the reason without any batch names it.

    """
    if not reports:
        return DriftAdvice(level="none", reasons=(f"there is no batch after {as_of} yet",))
    alarmed = [report for report in reports if report.level == "retrain"]
    report = alarmed[-1] if alarmed else reports[-1]
    calm = (f"no drift detected through {report.period}",)
    return DriftAdvice(level=report.level, reasons=report.reasons or calm)


def listed(
    tests: Tests, moved: Mapping[Key, float], importance: Mapping[str, float]
) -> tuple[CovariateTest, ...]:
    """Every test that could be made, with those in `moved` as alarms; the most important feature first.

    Parameters
    ----------
    tests
        All tests of a batch; those with a p-value of NaN could not be made.
    moved
        The tests that raise an alarm.
    importance
        The permutation importance of each feature.

    Returns
    -------
    The tests with their effects, p-values and q-values (Benjamini-Hochberg over the tests that could be
    made).

    """
    made = {key: test for key, test in tests.items() if not math.isnan(test.pvalue)}
    qvalues = adjusted([test.pvalue for test in made.values()])
    lines = [
        CovariateTest(
            feature=name,
            importance=importance.get(name),
            test=kind,
            effect=test.effect,
            p=test.pvalue,
            q=float(q),
            alarm=(name, kind) in moved,
        )
        for ((name, kind), test), q in zip(made.items(), qvalues, strict=True)
    ]
    return tuple(sorted(lines, key=lambda test: -importance.get(test.feature, 0.0)))
