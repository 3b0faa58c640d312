"""Params: a mistake is one line with file, key, value and what would do; a stage sees what it declares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.common import params, strict_yaml
from perenne.common.cut import Cut
from perenne.common.errors import PerenneError, hint
from perenne.common.typed import Model, parse
from tests.project import ROOT
from tests.tiny import PARAMS

FLIGHTS = "data/cases/flights/params.yaml"
PAYMENTS = "data/cases/payments/params.yaml"


def read(text: str) -> params.Params:
    """Return params from their text."""
    return parse(params.Params, strict_yaml.loads(text), "params.yaml")


def said(old: str, new: str) -> str:
    """Return what is said of the params with one piece of their text replaced."""
    assert old in PARAMS, old
    with pytest.raises(PerenneError) as caught:
        read(PARAMS.replace(old, new))
    return str(caught.value)


def test_good_params_are_typed_and_frozen() -> None:
    """What is in the file comes out, and cannot be changed."""
    read_in = read(PARAMS)
    assert (read_in.split.window, read_in.validation.max_quarantined_share) == (2, 0.1)
    assert (read_in.ingest.source, read_in.ingest.through) == ("files", "2021-04")
    with pytest.raises(ValueError, match="frozen"):
        read_in.split.window = 3  # type: ignore[misc]  # mypy knows too


@pytest.mark.parametrize(
    ("case", "file"), [("retirement", "params.yaml"), ("flights", FLIGHTS), ("payments", PAYMENTS)]
)
def test_params_of_the_cases_are_good(case: str, file: str) -> None:
    """That of the current case is at the root, the others in their folders."""
    assert read((ROOT / file).read_text(encoding="utf-8")).case == case


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("window: 2", "widnow: 2", "split.widnow: unknown key; did you mean 'window'? Valid: as_of, holdout"),
        (
            "window: 2",
            "window: 2\n  xyz: 1",
            "split.xyz: unknown key; valid: as_of, holdout, recalibrated, refit, since, window",
        ),
        ("split:", "spilt:", "spilt: unknown key; did you mean 'split'? Valid: case, compute, drift"),
        ("  window: 2\n", "", "split.window: missing"),
        ("window: 2", "window: two", "split.window: found 'two', must be an integer"),
        ("window: 2", "window: '2'", "split.window: found '2', must be an integer"),
        ("window: 2", "window: 2.5", "split.window: found 2.5, must be an integer"),
        ("window: 2", "window: 2.0", "split.window: found 2.0, must be an integer"),
        ("window: 2", "window: true", "split.window: found True, must be an integer"),
        ("window: 2", "window: [2]", "split.window: found [2], must be an integer"),
        ("window: 2", "window:", "split.window: found None, must be an integer"),
        ("window: 2", "window: 0", "split.window: found 0, must be greater than 0"),
        ("holdout: 1", "holdout: -1", "split.holdout: found -1, must be greater than 0"),
        (
            "holdout: 1",
            "holdout: 1\n  recalibrated: 2020-01..2020-02",
            "split: recalibrated: found 2020-01..2020-02, must be null where since is null",
        ),
        (
            "holdout: 1",
            "holdout: 1\n  since: 2020-03\n  recalibrated: 2020-01",
            "split.recalibrated: found '2020-01'",
        ),
        ("through: 2021-04", "through: 2021", "ingest.through: found 2021, must be a string"),
        ("case: tiny", "case: 5", "case: found 5, must be a string"),
        ("share: 0.1", "share: 1.5", "validate.max_quarantined_share: found 1.5, must be less than or equal"),
        ("share: 0.1", "share: .nan", "validate.max_quarantined_share: found nan, must be a finite number"),
        ("share: 0.1", "share: 10%", "validate.max_quarantined_share: found '10%', must be a number"),
        ("{C: 1.0}", "5", "train.params: found 5, must be a mapping"),
        ("resamples: 100", "resamples: 99", "evaluate.resamples: found 99, must be greater than or equal to"),
        ("confidence: 0.95", "confidence: 95", "evaluate.confidence: found 95, must be less than 1"),
        ("case: tiny", "case: tiny\n5: 6", "5: unknown key, and not a string"),
    ],
)  # fmt: skip
def test_mistake_is_one_line(old: str, new: str, line: str) -> None:
    """The line names the file, the key as its author wrote it, the value, and what would do."""
    message = said(old, new)
    assert message.startswith(f"params.yaml: {line}")
    assert "\n" not in message


@pytest.mark.parametrize("text", ["", "- case", "case", "5", "null"])
def test_params_that_are_no_mapping(text: str) -> None:
    """An empty file, a list, a bare word."""
    with pytest.raises(
        PerenneError, match=r"^params\.yaml: expected a mapping of case, ingest, validate, split"
    ):
        read(text)


def test_several_mistakes_are_said_at_once() -> None:
    """One line each, so that one run is enough to mend them all."""
    message = said("window: 2\n  holdout: 1", "window: x\n  holdout: y")
    assert [line.strip() for line in message.splitlines()] == [
        "params.yaml: split.window: found 'x', must be an integer",
        "params.yaml: split.holdout: found 'y', must be an integer",
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(section=st.sampled_from(["case", "ingest", "validate", "split", "train", "evaluate"]), value=JSON)
def test_no_value_is_a_traceback(section: str, value: Any) -> None:
    """Whatever stands in a section, the params are read or refused with the file's name."""
    data = strict_yaml.loads(PARAMS) | {section: value}
    lines: list[str] = []
    try:
        parse(params.Params, data, "params.yaml")
    except PerenneError as error:
        lines = str(error).splitlines()
    assert all(line.strip().startswith("params.yaml: ") for line in lines)


def test_stage_sees_only_what_it_declares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading another section is an error, because DVC would not watch it."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(PARAMS, encoding="utf-8")
    Path("dvc.yaml").write_text("stages: {split: {params: [case, split]}}", encoding="utf-8")
    mine = params.load("split")
    assert (mine.case, mine.split.holdout) == ("tiny", 1)
    with pytest.raises(PerenneError, match=r"dvc\.yaml: .* reads the params section 'train'"):
        _ = mine.train


INTEGERS = [
    ("split.window", 100_000),
    ("split.holdout", 100_000),
    ("train.seed", 2**32 - 1),
    ("evaluate.folds", 100),
    ("evaluate.resamples", 100_000),
    ("evaluate.bins", 10_000),
    ("evaluate.importance_rows", 10**9),
    ("evaluate.importance_repeats", 10_000),
    ("evaluate.seed", 2**32 - 1),
    ("drift.periods_per_false_alarm", 1_000_000),
    ("drift.report_rows", 10**9),
    ("drift.seed", 2**32 - 1),
]


@pytest.mark.parametrize(("key", "most"), INTEGERS)
@pytest.mark.parametrize("value", [10**14, 10**21, 10**100])
def test_integer_that_nothing_can_compute_with_is_one_line(key: str, most: int, value: int) -> None:
    """No library's overflow, and no want of memory, ends in a traceback of a stage."""
    section, name = key.split(".")
    data = strict_yaml.loads(PARAMS)
    parse(params.Params, data | {section: data[section] | {name: most}}, "params.yaml")
    for found in (value, most + 1):
        with pytest.raises(
            PerenneError, match=rf"^params\.yaml: {key}: found {found}, must be less than .*$"
        ):
            parse(params.Params, data | {section: data[section] | {name: found}}, "params.yaml")


def test_every_integer_has_a_bound() -> None:
    """A new one needs it too."""
    sections: dict[str, type[Model]] = {
        "split": params.Split,
        "train": params.Train,
        "evaluate": params.Evaluate,
        "drift": params.Drift,
    }
    fields = {f"{s}.{n}": f for s, model in sections.items() for n, f in model.model_fields.items()}
    assert {key for key, field in fields.items() if field.annotation is int} == {key for key, _ in INTEGERS}


@pytest.mark.parametrize("as_of", ["0001Q1", "2021Q1", "9999Q4"])
def test_longest_window_is_a_cut(as_of: str) -> None:
    """Its first period is far before any time, and can be said."""
    cut = Cut(pd.Period(as_of), 100_000, 100_000, 100_000)
    assert cut.part(pd.Period(as_of)) is None
    assert str(cut.first).startswith("-")


def test_hint_names_the_nearest_first() -> None:
    """What is far from everything gets the list alone."""
    assert hint("holdot", ["window", "holdout"]).startswith("did you mean 'holdout'?")
    assert hint("zzz", ["window", "holdout"]) == "valid: holdout, window"
    assert hint("zzz", []) == "there is none"
