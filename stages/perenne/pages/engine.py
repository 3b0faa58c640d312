"""Evidently in a Python of its own: from comparisons to one page, the same bytes for the same figures.

Evidently takes labels out of sets, so their order on the page hangs on the hash seed, which only a new
process can fix; and what it does to memory and warnings stays there.
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
SECONDS = 600  # Evidently takes some ten; what takes this long will not end

ENVIRONMENT = {
    "PYTHONHASHSEED": "0",  # the order of a set
    "DO_NOT_TRACK": "1",  # Evidently would tell its makers
    "OMP_NUM_THREADS": "1",  # more threads only wait for each other here
}

# How Evidently hands its figures to its script: two lines of JSON, under a name that it draws by lot.
DATA = re.compile(r"^ *var ((?:additional_graphs_)?metric_[0-9a-f]{32}) = (.*);$", re.MULTILINE)
NAME = re.compile(r"metric_[0-9a-f]{32}")


class Flag(NamedTuple):
    """What Evidently says of one column."""

    drift: bool
    method: str
    value: float
    threshold: float


class Comparison(NamedTuple):
    """One comparison that Evidently is asked for, in the types that it expects."""

    name: str  # drift, classification or regression
    reference: pd.DataFrame
    current: pd.DataFrame
    columns: dict[str, list[str]]  # by its kinds
    target: str = ""


class Answer(NamedTuple):
    """What Evidently made of the comparisons: its page, its flags by column, and what it failed on."""

    html: str
    flags: dict[str, Flag]
    failed: list[str]


def asked(comparisons: list[Comparison]) -> Answer:
    """Evidently's answer, from a Python of its own."""
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
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:LONGEST]


def main() -> None:
    """Answer the comparisons on standard input: what `asked` runs."""
    comparisons: list[Comparison] = pickle.load(sys.stdin.buffer)  # noqa: S301 -- written by `asked`
    with redirect_stdout(sys.stderr):
        answer = answered(comparisons)
    json.dump(answer, sys.stdout)


def answered(comparisons: list[Comparison]) -> Answer:
    """Run comparison by comparison: one that fails costs no other."""
    pages: list[str] = []
    flags: dict[str, Flag] = {}
    failed: list[str] = []
    for comparison in comparisons:
        try:
            html, its_flags, its_failed = drawn(comparison)
        except Exception as error:  # noqa: BLE001 -- whatever it was, the rest of the page stands
            failed.append(f"{comparison.name}: Evidently failed: {in_a_line(error)}")
            continue
        pages.append(html)
        flags |= its_flags
        failed += its_failed
    return Answer(joined(pages) if pages else "", flags, failed)


def drawn(comparison: Comparison) -> tuple[str, dict[str, Flag], list[str]]:
    """Evidently's page of a comparison; where it fails, that of the columns on which alone it does not."""
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
    """Why Evidently fails on a column by itself; empty where it does not."""
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
    # Here, because it takes seconds. It publishes no types.
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
    )  # it has no test for dates
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
    """Evidently's verdicts by column. A p value speaks by being small, a distance by being large."""
    flags = {}
    for metric in metrics:
        if metric["config"]["type"] == "evidently:metric_v2:ValueDrift":
            column, method, threshold = (metric["config"][key] for key in ("column", "method", "threshold"))
            value = float(metric["value"])
            drift = value < threshold if method.endswith("p_value") else value >= threshold
            flags[column] = Flag(drift, method, value, threshold)
    return flags


def joined(pages: list[str]) -> str:
    """Evidently's pages as one, the same bytes for the same figures: ids numbered, numbers rounded."""
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
    """The name of what Evidently named by lot: a number in order of appearance, kept in `ids`."""
    return ids.setdefault(uuid, f"id{len(ids)}")


def same(node: Any, ids: dict[str, str]) -> Any:
    """A part of Evidently's figures with numbers for its ids, and no more than `DIGITS` of each number.

    The tree is walked, not its text searched: a category may look like an id.
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
