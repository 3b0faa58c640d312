"""The parts of a review's page."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from perenne.common.params import OUTSIDE
from perenne.documents.review import Review
from perenne.documents.verdict import Verdict
from perenne.pages import charts, review_validation
from perenne.pages import verdict as verdict_page
from perenne.pages.text import MOST_ROWS, bullets, joined, plain, shortened

CLASS = 3  # the column of reliability.csv that names one of several classes
MOST_CHARTS = 6  # of classes
MOST_TEXT = 200  # characters of a text that the change brings

WARNINGS: list[tuple[str, str, Callable[[Review], bool]]] = [
    (
        "WARNING",
        "Nothing was rerun (`review.trust: lock`): every figure here is from `dvc.lock`, which its author "
        "could have forged.",
        lambda review: review.trust == "lock" and review.answer != "unchanged",
    ),
    (
        "NOTE",
        "`dvc.lock` was not of this commit; it was reproduced for this review. Run `dvc repro`, commit it.",
        lambda review: review.lock == "stale",
    ),
]
TRIED = (
    "settings were tried on validation (`perenne tune`), and the best are in this change: validation "
    "flatters it. The gate's holdout was not read for that."
)


class PagePart(NamedTuple):
    """A part of the page: its title in plain text, and its Markdown; without Markdown it is left out."""

    title: str
    body: str
    folded: bool = False


def headline(review: Review) -> str:
    """Return what the answer means, without the name of the case."""
    verdict = review.gate
    if review.answer == "unchanged":
        return verdict.why if verdict else _unchanged(review)
    if review.answer == "not reproducible":
        return "this commit does not reproduce the results that it claims"
    if review.answer == "could not judge" or verdict is None:
        return f"could not be judged: {review.error}"
    if review.answer == "eligible":
        return f"can be merged: {_better(verdict)}"
    if review.answer == "rejected":
        return f"should not be merged: {verdict.why}"
    return f"not decided: {verdict.why}"


def warnings(review: Review) -> list[str]:
    """Return the alerts: what limits how far the page can be trusted, and what is wrong with the training."""
    alerts = [f"> [!{kind}]\n> {text}" for kind, text, applies in WARNINGS if applies(review)]
    if review.tried:
        alerts.append(f"> [!NOTE]\n> {review.tried:,} {TRIED}")
    if review.findings:
        lines = "\n".join(f"> - {plain(_cut(line))}" for line in review.findings[:MOST_ROWS])
        alerts.append(f"> [!CAUTION]\n{lines}")
    if review.validation and review.validation.warnings:
        lines = "\n".join(f"> - {plain(_cut(line))}" for line in review.validation.warnings)
        alerts.append(f"> [!WARNING]\n{lines}")
    return alerts


def parts(review: Review) -> Iterator[PagePart]:
    """Yield the parts, the most important first."""
    verdict, validation = review.gate, review.validation
    if validation:
        yield PagePart("Validation", review_validation.metrics(validation))
        yield PagePart("Each class against the rest", review_validation.classes(validation))
        yield PagePart("Validation, fold by fold", review_validation.folds(validation))
    if verdict:
        yield PagePart("The gate, rule by rule", rules(verdict))
    if validation:
        yield PagePart("Slices that got worse", review_validation.worse(validation))
    yield PagePart("Data", data(review))
    yield PagePart("Params and contract", params(review))
    yield PagePart("Drift", drift(review))
    if validation:
        yield PagePart("All slices", review_validation.slices(validation), folded=True)
        yield PagePart("Charts", plots(review), folded=True)
        taken = review_validation.confusion(review.plots.confusion)
        yield PagePart("Which class is taken for which", taken, folded=True)
    yield PagePart("Time and memory of each stage", costs(review), folded=True)


def rules(verdict: Verdict) -> str:
    """Return the rules as `perenne gate` shows them, without the slices."""
    return joined(verdict_page.rules(verdict), bullets(list(map(plain, verdict_page.notes(verdict)))))


def plots(review: Review) -> str:
    """Return charts of observed and predicted values: by period, and by predicted probability."""
    drawn = []
    by = f"observed {charts.FIRST}, predicted {charts.SECOND}"
    timeline = review.plots.timeline
    if len(timeline) > 1:
        periods, *columns = zip(*timeline, strict=True)
        series = [_numbers(column) for column in columns]
        drawn.append(
            charts.chart(f"By period: {by}", periods, "headline figure", [("line", s) for s in series])
        )
    for of_class, rows in _by_class(review.plots.reliability).items():
        predicted, observed = (_numbers(column) for column in list(zip(*rows, strict=True))[:2])
        names = [f"{value:.3g}" for value in predicted]
        bars_and_line: list[charts.Series] = [("bar", observed), ("line", predicted)]
        title = f"Reliability of {of_class}: {by}" if of_class else f"Reliability: {by}"
        drawn.append(charts.chart(title, names, "share", bars_and_line))
    return joined(*drawn)


def _by_class(rows: Iterable[tuple[str, ...]]) -> dict[str, list[tuple[str, ...]]]:
    """The rows of `reliability.csv` by class, the most frequent first; all under "" without several."""
    by: dict[str, list[tuple[str, ...]]] = {}
    for row in rows:
        by.setdefault(row[CLASS] if len(row) > CLASS else "", []).append(row)
    shares = {name: math.fsum(float(row[1] or 0) for row in of_class) for name, of_class in by.items()}
    return {name: by[name] for name in sorted(by, key=lambda name: -shares[name])[:MOST_CHARTS]}


def data(review: Review) -> str:
    """Return a table of the batches that changed."""
    if review.data is None:
        return "It is unknown which batches changed: the listing of data/raw is unavailable."
    rows = [
        [plain(batch.period), batch.how, _count(batch.rows), _count(batch.quarantined)]
        for batch in review.data
    ]
    return shortened(["batch", "", "rows", "quarantined"], rows)


def params(review: Review) -> str:
    """Return the params that changed, and the changes that callers would notice."""
    rows = [[plain(_cut(text)) for text in (one.key, one.before, one.after)] for one in review.params]
    later = any(one.key.split(".")[0] in OUTSIDE for one in review.params)
    note = (
        "Settings of the gate, reviews, service and loop count after the merge: this review uses the base's."
    )
    contract = bullets([plain(_cut(line)) for line in review.contract])
    return joined(shortened(["param", "before", "after"], rows), note * later, contract)


def drift(review: Review) -> str:
    """Return the advice of the stage `drift`, unless it is `none` and unchanged."""
    advice, before = review.drift, review.drift_before
    if not advice or (advice == before and advice.level == "none"):
        return ""
    reasons = bullets([plain(_cut(reason)) for reason in advice.reasons[:MOST_ROWS]])
    was = f" (before: {before.level})" if before and before.level != advice.level else ""
    return f"**{plain(advice.level)}**{was}\n\n{reasons}"


def costs(review: Review) -> str:
    """Return seconds and memory of each stage, beside those of the fork where they are known."""
    rows = [
        [plain(stage), *(_beside(place, now, review.costs_before.get(stage)) for place in (0, 1))]
        for stage, now in review.costs.items()
    ]
    return shortened(["stage", "seconds (before)", "MB (before)"], rows)


def _unchanged(review: Review) -> str:
    batches, advice = len(review.data or ()), review.drift
    news = f"; {batches} batch(es) of data are new" if batches else ""
    news += f"; drift advises {advice.level}" if advice and advice.level != "none" else ""
    return f"the model is unchanged{news}"


def _better(verdict: Verdict) -> str:
    metric = verdict.policy.metric
    against = [finding.against for finding in verdict.rules if finding.rule == "improvement"]
    if not against:
        return "all rules pass" + "; there is no model to compare with yet" * (not verdict.against)
    how = "better than" if verdict.intent == "better" else "no worse, on newer data, than"
    return f"it is {how} {' and '.join(against)} in {metric}"


def _numbers(texts: Iterable[str]) -> list[float]:
    return [float(text) if text else math.nan for text in texts]


def _beside(place: int, now: tuple[float, float], before: tuple[float, float] | None) -> str:
    was = f" ({before[place]:.3g})" if before else ""
    return f"{now[place]:.3g}{was}"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _cut(text: str) -> str:
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}…"
