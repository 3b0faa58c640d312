"""Evidently's view of drift as an HTML page, from two frames, a contract and our report."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from perenne.common import batches, predicted
from perenne.common.column import Column, Type
from perenne.common.contract import Contract
from perenne.documents.drift import DriftBatch, DriftReport
from perenne.pages.drift import listed
from perenne.pages.engine import Comparison, Shown, ShownVerdict, asked

SCORE = Column(type="number", role=("ignored",))

MOST_COLUMNS = 60  # on the page: each costs half a second, and nobody scrolls through three hundred
MOST_CLASSES = 10  # of several: each has a curve, a column of two tables and a row of a third
MOST_VALUES = 500  # of a category: with more, the page has many MB, and bars thinner than a pixel


KINDS: dict[Type, str] = {
    "integer": "numerical",
    "number": "numerical",
    "boolean": "categorical",
    "category": "categorical",
    "datetime": "datetime",
}

# The page loads nothing from other hosts, and with this policy the browser enforces that.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "font-src data:; img-src data: blob:"
)
HEAD = f"""<meta charset="UTF-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>Drift</title>
<style>#root_drift {{ overflow-x: auto; }}</style>"""
BLANK = (
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="UTF-8">\n</head>\n<body>\n</body>\n</html>\n'
)


def page(
    reference: pd.DataFrame,
    validated: pd.DataFrame,
    current: pd.DataFrame,
    contract: Contract,
    verdict: str,
    report: DriftReport,
    *,
    rows: int,
    seed: int,
) -> str:
    """The whole page, the same bytes for the same rows: our verdict on top, Evidently's view below it.

    Evidently draws the pictures; the drift of each column and of the whole that it shows are ours.

    Columns that Evidently cannot show are named on the page with the reason. If Evidently fails, the page
    shows its error, and nothing is raised.

    Parameters
    ----------
    reference, current
        Valid rows of the contract with their predictions; the columns of both are compared.
    validated
        Rows with predictions and the target, to be compared with those of `current` whose target is known.
        They are none of the holdout: that is sealed.
    contract
        What the rows are.
    verdict
        Our verdict, as HTML.
    report
        Our tests and our advice.
    rows
        At most so many rows of each frame are drawn.
    seed
        Decides which rows are drawn.

    Returns
    -------
    HTML, with scripts and style inside.

    """
    chosen, dropped = of_interest(contract, report)
    sides = (sampled(reference, rows, seed), sampled(current, rows, seed))
    drift, left_out = columns(*sides, contract, chosen)
    labels, unlabelled = labelled(validated, current, contract, rows, seed)
    if drift:
        drift = drift._replace(tests=shown(report), verdict=overall(report))
    answer = asked([comparison for comparison in (drift, labels) if comparison])
    top = beside([*left_out, *dropped, *unlabelled, *answer.failed], rows)
    return (
        (answer.html or BLANK)
        .replace('<meta charset="UTF-8">', HEAD, 1)
        .replace("<body>", f"<body>\n{verdict}\n{top}", 1)
    )


def sampled(frame: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """At most `rows` random rows of a frame, in their original order, with a new index."""
    rng = np.random.default_rng(seed)
    return frame.iloc[np.sort(rng.permutation(len(frame))[:rows])].reset_index(drop=True)


def of_interest(contract: Contract, report: DriftReport) -> tuple[list[str], list[str]]:
    """The columns to show: features, slices and scores; of many those that moved, then the important.

    Returns
    -------
    Their names in the contract's order, and a line that says how many are left out, if some are.

    """
    names = drawn(contract)
    if len(names) <= MOST_COLUMNS:
        return names, []
    batch = decisive(report)
    order = dict.fromkeys(names, (True, 0.0))
    for test in batch.covariates if batch else ():
        if test.feature in order:
            order[test.feature] = min(order[test.feature], (not test.alarm, -(test.importance or 0.0)))
    order |= dict.fromkeys(predicted.columns(contract)[:MOST_CLASSES], (False, -math.inf))
    kept = set(sorted(names, key=lambda name: order[name])[:MOST_COLUMNS])
    left = len(names) - len(kept)
    return [n for n in names if n in kept], [f"{left} columns that moved less or matter less are not drawn"]


def drawn(contract: Contract) -> list[str]:
    """Features, slices and scores."""
    return [*dict.fromkeys([*contract.features, *contract.slices, *predicted.columns(contract)])]


def columns(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    contract: Contract,
    names: list[str] | None = None,
) -> tuple[Comparison | None, list[str]]:
    """The comparison of features, slices and the score, or of some of them; and why some are left out.

    Returns
    -------
    The comparison, None if no column is left; and one line for each column that Evidently cannot show.

    """
    names = drawn(contract) if names is None else names
    sides = [pd.DataFrame({n: plain(side, n, contract) for n in names}) for side in (reference, current)]
    why = {name: unfit(*(side[name] for side in sides)) for name in names}
    fit = [name for name in names if not why[name]]
    by_kind = {kind: [n for n in fit if KINDS[declared(n, contract).type] == kind] for kind in KINDS.values()}
    comparison = Comparison("drift", sides[0][fit], sides[1][fit], by_kind) if fit else None
    return comparison, [f"{name}: {reason}" for name, reason in why.items() if reason]


def declared(name: str, contract: Contract) -> Column:
    """The contract's column; for a score, which is not in the contract, a column of numbers."""
    return contract.columns.get(name, SCORE)


def plain(frame: pd.DataFrame, name: str, contract: Contract) -> pd.Series:
    """A column in the types that Evidently tests, shape (n,): float64, text as objects, or times.

    Missing values are NaN, or NaT for times. If the frame lacks the column, all values are missing.
    """
    column = declared(name, contract)
    if name not in frame:
        return pd.Series(np.nan, index=frame.index)
    values = batches.typed(frame[name], column)
    match KINDS[column.type]:
        case "numerical":
            return values.astype("float64")
        case "categorical":
            return values.astype("str").astype(object).where(values.notna(), np.nan)
        case _:
            return values


def unfit(reference: pd.Series, current: pd.Series) -> str:
    """Why Evidently cannot show a column, on which its whole report would fail; empty if it can."""
    for side, values in {"reference": reference, "batch": current}.items():
        if values.isna().all():
            return f"no value in the {side}"
    distinct = pd.concat([reference, current]).nunique()
    if distinct == 1:
        return "the same value everywhere"
    if reference.dtype == object and distinct > MOST_VALUES:
        return f"{distinct:,} values, more than a page can show"
    return ""


def labelled(
    reference: pd.DataFrame, current: pd.DataFrame, contract: Contract, rows: int, seed: int
) -> tuple[Comparison | None, list[str]]:
    """The comparison of labels and scores, for Evidently's view of the model; or why there is none.

    Returns
    -------
    The comparison on at most `rows` labelled rows of each side; or None, and the reason in one line.

    """
    task = contract.task
    name = task.preset
    before, now = (sampled(known(frame, contract), rows, seed) for frame in (reference, current))
    for side, frame in {"reference": before, "batch": now}.items():
        if len(frame) <= 1:
            return None, [f"{name}: fewer than two labels in the {side}"]
        if contract.classes and frame[contract.target].nunique() == 1:
            return None, [f"{name}: the labels in the {side} are all the same"]
    scores = predicted.columns(contract)
    if len(scores) > 1:
        return of_classes(before, now, contract)
    numbers = [] if contract.classes else [contract.target, *scores]
    kinds = {"numerical": numbers, "categorical": []}
    return Comparison(name, before, now, kinds, contract.target, tuple(scores)), []


def labelled_sample(frame: pd.DataFrame, contract: Contract, rows: int, seed: int) -> pd.DataFrame:
    """The rows of a frame that `page` draws of it as `validated`: at most `rows` with label and score.

    For those who keep them: of these rows the page has the same bytes.
    """
    plain_index = frame.reset_index(drop=True)
    drawn_of = known(plain_index, contract).index.to_series()
    return plain_index.loc[sampled(drawn_of.to_frame(), rows, seed)[0]]


def known(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Labels and scores of the rows that have both; labels are int64 where they are events or classes."""
    target, scores = contract.target, predicted.columns(contract)
    pair = pd.DataFrame({name: plain(frame, name, contract) for name in (target, *scores)}).dropna()
    if contract.columns[target].type == "boolean":
        pair[target] = pair[target] == "True"
    if len(scores) > 1:
        pair = pair.assign(**{target: predicted.outcomes(pair, contract)}).dropna()
    return pair.astype({target: "int64"}) if contract.classes else pair


def of_classes(
    before: pd.DataFrame, now: pd.DataFrame, contract: Contract
) -> tuple[Comparison | None, list[str]]:
    """The comparison of several classes: the commonest, and the others as one.

    Evidently fails on a class that does not come on both sides, so that is one of the others.

    Parameters
    ----------
    before, now
        As :func:`known` returns them.
    contract
        Names the classes.

    """
    target, scores, name = contract.target, predicted.columns(contract), contract.task.preset
    counts = [np.bincount(side[target], minlength=len(scores)) for side in (before, now)]
    fewer = np.minimum(counts[0], counts[1])
    order = np.argsort(-fewer, kind="stable")
    kept = [int(k) for k in order[:MOST_CLASSES] if fewer[k]]
    others = [k for k in range(len(scores)) if k not in kept]
    while others and kept and not all(count[others].sum() for count in counts):
        others.append(kept.pop())
    if len(kept) + bool(others) < 3:
        return None, [f"{name}: fewer than three classes have labels on both sides"]
    groups = {str(contract.classes[k]): [k] for k in sorted(kept)}
    notes = []
    if others:
        groups[f"{len(others)} other classes"] = others
        notes = [f"{name}: {len(others)} of {len(scores)} classes, the rarest, are drawn as one"]
    column = f"{target} (label)" if target in groups else target

    def drawn_as(side: pd.DataFrame) -> pd.DataFrame:
        of_group = {k: group for group, places in groups.items() for k in places}
        summed = {group: side[[scores[k] for k in places]].sum(axis=1) for group, places in groups.items()}
        return pd.DataFrame({**summed, column: side[target].map(of_group).astype(object)})

    kinds: dict[str, list[str]] = {"numerical": [], "categorical": []}
    return Comparison(name, drawn_as(before), drawn_as(now), kinds, column, tuple(groups)), notes


def shown(report: DriftReport) -> dict[str, Shown]:
    """Our test of each column in the batch that the advice is about; of several, one that raises an alarm.

    Returns
    -------
    The column -> its result; none for a column of which no test could be made.

    """
    found: dict[str, Shown] = {}
    batch = decisive(report)
    for test in sorted(batch.covariates if batch else (), key=lambda test: (not test.alarm, rank(test.test))):
        if test.effect is not None:
            found.setdefault(test.feature, Shown(test.alarm, test.test, test.effect))
    return found


def rank(kind: str) -> int:
    """The place of a kind of test among those of one column: its distribution is shown first."""
    return 0 if kind == "distribution" else 1


def decisive(report: DriftReport) -> DriftBatch | None:
    """The batch that the advice is about: the latest with its level and reasons, else the latest.

    Only batches with tests: of those up to `as_of` the labels alone are new.
    """
    tested = [batch for batch in reversed(report.batches) if batch.covariates]
    advice = report.advice
    about = [batch for batch in tested if (batch.level, batch.reasons) == (advice.level, advice.reasons)]
    return next(iter([*about, *tested]), None)


def overall(report: DriftReport) -> ShownVerdict:
    """Our advice as dataset drift: there is some if the advice is to look or to retrain."""
    level = report.advice.level
    return ShownVerdict(level != "none", f"Perenne: {level}: {'; '.join(report.advice.reasons)}")


def beside(notes: list[str], rows: int) -> str:
    """The HTML between our verdict and Evidently's page: whose figures are which, and what is left out.

    Parameters
    ----------
    notes
        Why something is left out, one line each.
    rows
        How many rows of each side Evidently has seen at most.

    """
    about = (
        f"Evidently draws what follows from at most {rows:,} rows a side, drawn at random. Whether a column, "
        "or the data as a whole, has drifted is the verdict above: our tests, on all the rows, stand in the "
        "place of Evidently's own. The drift score is the effect of our test."
    )
    parts = [
        f"<h2>The same data seen by Evidently</h2><p>{about}</p>",
        f"<p>Left out of Evidently's part:</p>{listed(notes)}" if notes else "",
    ]
    return f'<section class="perenne" aria-label="Evidently">{"".join(parts)}</section>\n'
