"""The parts of a review's page about validation: the change beside the models that it has to beat."""

from __future__ import annotations

import math
from collections.abc import Sequence

from perenne.documents.evaluation import OF_CLASS
from perenne.documents.review import PairedMetric, ReviewedFigure, Rival, ValidationReview
from perenne.pages import charts
from perenne.pages.text import bounds, joined, number, plain, shortened, table

NOTE = "Parts of the training window, each predicted by a model that did not see it. Intervals of 95 %"
FEWEST_CLASSES, MOST_CLASSES = 3, 12  # of a table of which is taken for which
TOO_FEW = "(too few to tell)"


def metrics(validation: ValidationReview) -> str:
    """Return a table: each metric on validation with its interval, beside those of the other models."""
    head = _head("metric", validation.rivals)
    rows = []
    first = {name: validation.metrics[name] for name in [validation.loss] if name in validation.metrics}
    for name, mine in {**first, **validation.metrics}.items():
        title = plain(name)
        row = [f"**{title}**" if name == validation.loss else title, _interval(mine)]
        for rival in validation.rivals:
            row += _beside(rival.metrics.get(name), rival.own.get(name))
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


def classes(validation: ValidationReview) -> str:
    """Return tables of what each of several classes is like against the rest: one for each of its figures."""
    rivals = tuple(rival for rival in validation.rivals if rival.classes)
    tables = []
    for metric in OF_CLASS:
        figures = {name: of[metric] for name, of in validation.classes.items() if metric in of}
        rows = [_of_class(name, mine, metric, rivals) for name, mine in figures.items()]
        if rows:
            tables.append(f"**{plain(metric)}**\n\n{shortened(_head('class', rivals), rows)}")
    return joined(*tables)


def _of_class(name: str, mine: ReviewedFigure, metric: str, rivals: Sequence[Rival]) -> list[str]:
    """A class and a figure of it, beside those of the other models."""
    row = [plain(name), _interval(mine)]
    for rival in rivals:
        row += _beside(rival.classes.get(name, {}).get(metric), None)
    return row


def _head(first: str, rivals: Sequence[Rival]) -> list[str]:
    """The titles of a table that sets the change beside the other models."""
    return [first, "this change", *(title for each in rivals for title in (plain(each.name), "better by"))]


def _beside(pair: PairedMetric | None, own: float | None) -> list[str]:
    """Another model's figure, and by how much the change is better where they are paired."""
    return [number(pair.theirs if pair else own), _gain(pair.gain) if pair else "-"]


def confusion(rows: Sequence[Sequence[str]]) -> str:
    """Return a table of which class was taken for which, as shares; empty unless there are several.

    Parameters
    ----------
    rows
        Those of `confusion.csv`: actual and predicted class, the number of rows, and their share.

    """
    by: dict[str, list[tuple[int, float]]] = {}
    for actual, _, count, share in rows:
        by.setdefault(actual, []).append((int(count), float(share)))
    if not FEWEST_CLASSES <= len(by) <= MOST_CLASSES:
        return ""
    cells = [
        [plain(actual), *(f"{share:.0%}" for _, share in taken), f"{sum(count for count, _ in taken):,}"]
        for actual, taken in by.items()
    ]
    note = "A line is an actual class, a column the class that the change finds most probable."
    return joined(table(["class", *map(plain, by), "rows"], cells), note)


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
