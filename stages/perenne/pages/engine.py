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
from contextlib import redirect_stdout
from typing import Any, NamedTuple

import pandas as pd

from perenne.common.names import PREDICTION

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


class Flag(NamedTuple):
    """Evidently's result for one column."""

    drift: bool
    method: str
    value: float
    threshold: float


class Comparison(NamedTuple):
    """One comparison for Evidently to make, in the types that it expects."""

    name: str  # drift, classification or regression
    reference: pd.DataFrame
    current: pd.DataFrame
    columns: dict[str, list[str]]  # by its kinds
    target: str = ""


class Answer(NamedTuple):
    """Evidently's results for the comparisons: its page, its flags by column, and one line per failure."""

    html: str
    flags: dict[str, Flag]
    failed: list[str]


def asked(comparisons: list[Comparison]) -> Answer:
    """Run Evidently on the comparisons, in a new Python process.

    Returns
    -------
    The answer. If the process fails or takes more than `SECONDS`, the page is empty and `failed` has the
    reason. Without comparisons the answer is empty.

    """
    if not comparisons:
        return Answer("", {}, [])
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
        return Answer("", {}, [f"Evidently failed: no answer in {SECONDS} seconds"])
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return Answer("", {}, [f"Evidently failed: exit status {error.returncode}, {last or 'no message'}"])
    html, flags, failed = json.loads(done.stdout)
    return Answer(html, {name: Flag(*flag) for name, flag in flags.items()}, failed)


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
    flags: dict[str, Flag] = {}
    failed: list[str] = []
    for comparison in comparisons:
        try:
            html, its_flags, its_failed = drawn(comparison)
        except Exception as error:  # noqa: BLE001 -- whatever it was, the rest of the page is shown
            failed.append(f"{comparison.name}: Evidently failed: {in_a_line(error)}")
            continue
        pages.append(html)
        flags |= its_flags
        failed += its_failed
    return Answer(joined(pages) if pages else "", flags, failed)


def drawn(comparison: Comparison) -> tuple[str, dict[str, Flag], list[str]]:
    """Evidently's page of a comparison; if that fails, the page without the columns that fail by themselves.

    Returns
    -------
    The page, the flags by column, and why each column that was left out fails.

    Raises
    ------
    Exception
        What Evidently raised, if it is not a comparison for drift, or leaving out columns does not help.

    """
    try:
        return *run(comparison), []
    except Exception:
        why = {name: alone(comparison, name) for names in comparison.columns.values() for name in names}
        kept = {kind: [name for name in names if not why[name]] for kind, names in comparison.columns.items()}
        if comparison.name != "drift" or kept == comparison.columns or not any(kept.values()):
            raise
    failed = [f"{name}: Evidently failed: {reason}" for name, reason in why.items() if reason]
    return *run(comparison._replace(columns=kept)), failed


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


def run(comparison: Comparison) -> tuple[str, dict[str, Flag]]:
    """Run Evidently: its page, and its flag on each column."""
    # Imported here, because that takes seconds. Evidently publishes no types.
    from evidently import (
        BinaryClassification,
        DataDefinition,
        Dataset,
        Regression,
        Report,
        presets,
    )

    tested = any(
        comparison.columns[kind] for kind in ("numerical", "categorical")
    )  # Evidently has none for dates
    shown = {
        "drift": [*[presets.DataDriftPreset()] * tested, presets.DataSummaryPreset()],
        "classification": [presets.ClassificationPreset()],
        "regression": [presets.RegressionPreset()],
    }[comparison.name]
    binary = BinaryClassification(target=comparison.target, prediction_probas=PREDICTION, pos_label=1)
    numeric = Regression(target=comparison.target, prediction=PREDICTION)
    definition = DataDefinition(
        **{f"{kind}_columns": names for kind, names in comparison.columns.items()},
        classification=[binary] if comparison.name == "classification" else None,
        regression=[numeric] if comparison.name == "regression" else None,
    )
    current, reference = (
        Dataset.from_pandas(side, data_definition=definition)
        for side in (comparison.current, comparison.reference)
    )
    snapshot = Report(shown).run(current, reference)
    return snapshot.get_html_str(as_iframe=False), flagged(snapshot.dict()["metrics"])


def flagged(metrics: list[dict[str, Any]]) -> dict[str, Flag]:
    """Evidently's flags by column: drift if a p-value is below the threshold, or a distance is not below it.

    Parameters
    ----------
    metrics
        The list `metrics` of a snapshot; only tests of single columns are read.

    """
    flags = {}
    for metric in metrics:
        if metric["config"]["type"] == "evidently:metric_v2:ValueDrift":
            column, method, threshold = (metric["config"][key] for key in ("column", "method", "threshold"))
            value = float(metric["value"])
            drift = value < threshold if method.endswith("p_value") else value >= threshold
            flags[column] = Flag(drift, method, value, threshold)
    return flags


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
