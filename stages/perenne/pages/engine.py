"""Evidently in a process of its own: from comparisons to one page, the same bytes for the same figures.

Evidently takes labels from sets, so their order on the page depends on the hash seed, which can only be set
for a new process. Its memory and its changes to warnings end with that process.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any, NamedTuple

import pandas as pd

DIGITS = 6  # of a number on the page: the last ones of a sum depend on the width of the CPU's vectors
LONGEST = 300  # characters of an error: enough to look it up
SECONDS = 600  # Evidently takes about ten; after this time it is assumed to hang

ENVIRONMENT = {
    "PYTHONHASHSEED": "0",  # the order of a set
    "DO_NOT_TRACK": "1",  # otherwise Evidently sends usage data to its makers
    "OMP_NUM_THREADS": "1",  # more threads only slow it down here
}

# How Evidently passes its figures to its script: two lines of JSON, under a random name.
DATA = re.compile(r"^ *var ((?:additional_graphs_)?metric_[0-9a-f]{32}) = (.*);$", re.MULTILINE)
NAME = re.compile(r"metric_[0-9a-f]{32}")


class Shown(NamedTuple):
    """Our result for one column, which Evidently shows as if it had tested it."""

    alarm: bool
    test: str
    effect: float


class ShownVerdict(NamedTuple):
    """Our result for all the data, which Evidently shows as its dataset drift."""

    drift: bool
    reason: str


class Comparison(NamedTuple):
    """One comparison for Evidently to make, in the types that it expects."""

    name: str  # drift, classification or regression
    reference: pd.DataFrame
    current: pd.DataFrame
    columns: dict[str, list[str]]  # by its kinds
    target: str = ""
    predictions: tuple[str, ...] = ()  # of several classes, columns that are named as they are
    tests: Mapping[str, Shown] = {}  # ours, by column; of drift only
    verdict: ShownVerdict = ShownVerdict(drift=False, reason="")


class Answer(NamedTuple):
    """Evidently's page of the comparisons, and one line per failure."""

    html: str
    failed: list[str]


def asked(comparisons: list[Comparison]) -> Answer:
    """Run Evidently on the comparisons, in a new Python process.

    Returns
    -------
    The answer. If the process fails or takes more than `SECONDS`, the page is empty and `failed` has the
    reason. Without comparisons the answer is empty.

    """
    if not comparisons:
        return Answer("", [])
    try:
        done = subprocess.run(  # noqa: S603 -- this interpreter, this module
            [sys.executable, "-m", __name__],
            input=pickle.dumps(comparisons),
            env=os.environ | ENVIRONMENT,
            capture_output=True,
            timeout=SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired:
        return Answer("", [f"Evidently failed: no answer in {SECONDS} seconds"])
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return Answer("", [f"Evidently failed: exit status {error.returncode}, {last or 'no message'}"])
    return Answer(*json.loads(done.stdout))


def in_a_line(error: Exception) -> str:
    """An error in one line of at most `LONGEST` characters."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:LONGEST]


def main() -> None:
    """Read pickled comparisons from stdin and write the answer as JSON to stdout; `asked` runs this."""
    comparisons: list[Comparison] = pickle.load(sys.stdin.buffer)  # noqa: S301 -- written by `asked`
    with redirect_stdout(sys.stderr):
        answer = answered(comparisons)
    json.dump(answer, sys.stdout)


def answered(comparisons: list[Comparison]) -> Answer:
    """Run each comparison by itself, so that one that fails does not affect the others."""
    pages: list[str] = []
    failed: list[str] = []
    for comparison in comparisons:
        try:
            html, its_failed = drawn(comparison)
        except Exception as error:  # noqa: BLE001 -- whatever it was, the rest of the page is shown
            failed.append(f"{comparison.name}: Evidently failed: {in_a_line(error)}")
            continue
        pages.append(html)
        failed += its_failed
    return Answer(joined(pages) if pages else "", failed)


def drawn(comparison: Comparison) -> tuple[str, list[str]]:
    """Evidently's page of a comparison; if that fails, the page without the columns that fail by themselves.

    Returns
    -------
    The page, and why each column that was left out fails.

    Raises
    ------
    Exception
        What Evidently raised, if it is not a comparison for drift, or leaving out columns does not help.

    """
    try:
        return run(comparison), []
    except Exception:
        why = {name: alone(comparison, name) for names in comparison.columns.values() for name in names}
        kept = {kind: [name for name in names if not why[name]] for kind, names in comparison.columns.items()}
        if comparison.name != "drift" or kept == comparison.columns or not any(kept.values()):
            raise
    failed = [f"{name}: Evidently failed: {reason}" for name, reason in why.items() if reason]
    return run(comparison._replace(columns=kept)), failed


def alone(comparison: Comparison, name: str) -> str:
    """Why Evidently fails on a column by itself; empty if it does not fail."""
    try:
        run(
            comparison._replace(
                columns={kind: [name] * (name in names) for kind, names in comparison.columns.items()}
            )
        )
    except Exception as error:  # noqa: BLE001 -- it is what this function is for
        return in_a_line(error)
    return ""


def run(comparison: Comparison) -> str:
    """Run Evidently: its page, with our tests in the place of its own."""
    # Imported here, because that takes seconds. Evidently publishes no types.
    from evidently import (
        BinaryClassification,
        DataDefinition,
        Dataset,
        MulticlassClassification,
        Regression,
        Report,
        presets,
    )

    shown = {
        "drift": [*drift(comparison), presets.DataSummaryPreset()],
        "classification": [presets.ClassificationPreset()],
        "regression": [presets.RegressionPreset()],
    }[comparison.name]
    target, predictions = comparison.target, comparison.predictions
    models: dict[str, list[object]] = {}
    if comparison.name == "classification" and len(predictions) > 1:
        models["classification"] = [
            MulticlassClassification(target=target, prediction_probas=list(predictions))
        ]
    elif comparison.name == "classification":
        models["classification"] = [
            BinaryClassification(target=target, prediction_probas=predictions[0], pos_label=1)
        ]
    elif comparison.name == "regression":
        models["regression"] = [Regression(target=target, prediction=predictions[0])]
    definition = DataDefinition(
        **{f"{kind}_columns": names for kind, names in comparison.columns.items()}, **models
    )
    current, reference = (
        Dataset.from_pandas(side, data_definition=definition)
        for side in (comparison.current, comparison.reference)
    )
    html: str = Report(shown).run(current, reference).get_html_str(as_iframe=False)
    return html


def drift(comparison: Comparison) -> list[Any]:
    """Evidently's preset for drift with our tests and our verdict; none without a column that we test.

    It has no tests for dates. A registered test is a function of two samples; ours looks up what our own
    statistics have found on all the rows.
    """
    tested = [
        name
        for kind in ("numerical", "categorical")
        for name in comparison.columns[kind]
        if name in comparison.tests
    ]
    if not tested:
        return []
    from evidently.legacy.calculations.stattests.registry import StatTest, register_stattest
    from evidently.legacy.core import ColumnType
    from evidently.legacy.renderers.html_widgets import CounterData, counter
    from evidently.presets import DataDriftPreset

    def looked_up(reference: pd.Series, *_: object) -> tuple[float, bool]:
        shown = comparison.tests[str(reference.name)]
        return shown.effect, shown.alarm

    kinds = {comparison.tests[name].test for name in tested}
    for kind in sorted(kinds):
        types = [ColumnType.Numerical, ColumnType.Categorical]
        register_stattest(StatTest(kind, f"Perenne: {kind}", types), looked_up)

    class OurDrift(DataDriftPreset):  # type: ignore[misc]  # it has no types
        """Evidently's table of columns below our verdict, in the place of its count of columns."""

        def render(self, *given: Any, **named: Any) -> list[Any]:
            is_drift = "detected" if comparison.verdict.drift else "NOT detected"
            line = CounterData(comparison.verdict.reason, f"Dataset Drift is {is_drift}")
            return [counter(counters=[line]), *super().render(*given, **named)[1:]]

    return [OurDrift(columns=tested, per_column_method={n: comparison.tests[n].test for n in tested})]


def joined(pages: list[str]) -> str:
    """Join Evidently's pages to one, the same bytes for the same figures: ids numbered, numbers rounded."""
    (dashboard, graphs), *others = ([json.loads(match[2]) for match in DATA.finditer(page)] for page in pages)
    for more, its_graphs in others:
        dashboard["widgets"] += more["widgets"]
        graphs |= its_graphs
    ids: dict[str, str] = {}
    settled = [same(dashboard, ids), {number(key, ids): same(graph, ids) for key, graph in graphs.items()}]
    # A value of the data may hold "</script>", which would end the script that it is written in.
    data = iter(json.dumps(part, separators=(",", ":")).replace("<", r"\u003c") for part in settled)
    return NAME.sub("drift", DATA.sub(lambda match: f"var {match[1]} = {next(data)};", pages[0])).lstrip()


def number(uuid: str, ids: dict[str, str]) -> str:
    """The number that replaces a random id of Evidently, in order of appearance; `ids` remembers it."""
    return ids.setdefault(uuid, f"id{len(ids)}")


def same(node: Any, ids: dict[str, str]) -> Any:
    """A part of Evidently's figures with numbered ids, and floats rounded to `DIGITS` significant digits.

    It walks the tree and does not search the text, because a category may look like an id.
    """
    if isinstance(node, list):
        return [same(item, ids) for item in node]
    if isinstance(node, dict):
        return {
            key: number(value, ids) if key == "id" and isinstance(value, str) else same(value, ids)
            for key, value in node.items()
        }
    return float(f"{node:.{DIGITS}g}") if isinstance(node, float) else node


if __name__ == "__main__":
    main()
