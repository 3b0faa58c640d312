"""The parts of a review's page about validation: the change beside the models that it has to beat."""

from __future__ import annotations

import math

from perenne.documents.review import ReviewedFigure, Rival, ValidationReview
from perenne.pages import charts
from perenne.pages.text import bounds, joined, number, plain, shortened, table

NOTE = "Parts of the training window, each predicted by a model that did not see it. Intervals of 95 %"
TOO_FEW = "(too few to tell)"


def metrics(validation: ValidationReview) -> str:
    """Return a table: each metric on validation with its interval, beside those of the other models."""
    head = ["metric", "this change"]
    for rival in validation.rivals:
        head += [plain(rival.name), "better by"]
    rows = []
    first = {name: validation.metrics[name] for name in [validation.loss] if name in validation.metrics}
    for name, mine in {**first, **validation.metrics}.items():
        title = plain(name)
        row = [f"**{title}**" if name == validation.loss else title, _interval(mine)]
        for rival in validation.rivals:
            pair = rival.metrics.get(name)
            row += [number(pair.theirs if pair else rival.own.get(name)), _gain(pair.gain) if pair else "-"]
        rows.append(row)
    marks = "; ▲ better and ▼ worse where the interval excludes 0"
    notes = [f"{NOTE}{marks * any(rival.metrics for rival in validation.rivals)}."]
    notes += [f"No intervals: {plain(validation.too_few)}."] * bool(validation.too_few)
    notes += [f"Blocks: {plain(validation.dependence)}."] * bool(validation.dependence)
    notes += [
        f"{plain(rival.name)} was measured on other rows or folds: its figures cannot be paired with these."
        for rival in validation.rivals
        if not rival.metrics
    ]
    return joined(shortened(head, rows), "\n".join(notes))


def folds(validation: ValidationReview) -> str:
    """Return a table: the loss on each fold, beside those of the models that were measured on the same."""
    loss = validation.loss
    rivals = [rival for rival in validation.rivals if rival.folds]
    head = ["fold", "learned from", "rows", plain(loss), "dummy"]
    for rival in rivals:
        head += [plain(rival.name), "better by"]
    rows = []
    for place, fold in enumerate(validation.folds):
        mine = fold.metrics[loss]
        span = fold.first if fold.first == fold.last else f"{fold.first} to {fold.last}"
        row = [plain(span), f"{fold.learned:,}", f"{fold.rows:,}", number(mine.value), number(mine.dummy)]
        for rival in rivals:
            pair = rival.folds[place].loss
            row += [number(pair.theirs), _gain(pair.gain)]
        rows.append(row)
    return shortened(head, rows)


def worse(validation: ValidationReview) -> str:
    """Return a table of the slices in which the loss got worse, the worst first."""
    losses = [
        (part.loss.gain.value, part, rival.name)
        for rival in validation.rivals
        for part in rival.slices
        if part.loss.gain.value is not None and part.loss.gain.value < 0
    ]
    losses.sort(key=lambda loss: loss[0])
    rows = [[plain(part.name), plain(against), _gain(part.loss.gain)] for _, part, against in losses]
    compared = any(rival.slices for rival in validation.rivals)
    head = ["slice", "against", f"{plain(validation.loss)} better by"]
    return shortened(head, rows) or "None." * compared


def slices(validation: ValidationReview) -> str:
    """Return every slice against every other model, and a chart of the loss beside the first one's."""
    loss = plain(validation.loss)
    compared = [rival for rival in validation.rivals if rival.slices]
    tables = []
    for rival in compared:
        rows = [
            [plain(p.name), f"{p.rows:,}", number(p.loss.value), number(p.loss.theirs), _gain(p.loss.gain)]
            for p in rival.slices
        ]
        head = ["slice", "rows", loss, plain(rival.name), "better by"]
        tables.append(f"**All slices against {plain(rival.name)}**\n\n{table(head, rows)}")
    return joined(_losses(compared[0], validation.loss) if compared else "", *tables)


def _losses(rival: Rival, loss: str) -> str:
    """The loss by slice, beside another model's."""
    title = f"{loss}: this change {charts.FIRST}, {rival.name} {charts.SECOND}"
    names = [part.name for part in rival.slices]
    mine, theirs = (
        [math.nan if value is None else value for value in values]
        for values in zip(*((part.loss.value, part.loss.theirs) for part in rival.slices), strict=True)
    )
    return charts.chart(title, names, "less is better", [("bar", mine), ("line", theirs)], lying=True)


def _interval(metric: ReviewedFigure) -> str:
    if metric.value is not None and metric.low is None and metric.high is None:
        return f"{number(metric.value)} {TOO_FEW}"
    return f"{number(metric.value)} {bounds(metric.low, metric.high)}"


def _gain(gain: ReviewedFigure) -> str:
    return f"{_interval(gain)} {_sure(gain)}".strip()


def _sure(interval: ReviewedFigure) -> str:
    if interval.low is None or interval.high is None:
        return ""
    return "▲" if interval.low > 0 else "▼" if interval.high < 0 else ""
