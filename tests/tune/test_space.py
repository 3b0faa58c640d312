"""The section `tune`: what may be searched, and one line for whatever may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from perenne.common import sections
from perenne.common.errors import PerenneError
from perenne.common.typed import parse
from perenne.tune import space
from perenne.tune.space import Dimension
from tests import tiny

KEY = "train.params.C"
LINEAR = "sklearn.linear_model.LogisticRegression"
FOREST = "sklearn.ensemble.RandomForestClassifier"


def write(text: str) -> None:
    """Write params.yaml with the section `tune`."""
    Path("params.yaml").write_text(tiny.PARAMS + text, encoding="utf-8")


def loaded() -> space.TuneSettings:
    """Return the section, checked as the command does it."""
    settings = space.load()
    tree = sections.tree()["train"]
    space.present(tree, settings.space, tiny.contract())
    space.checked(tree, settings.space, tiny.contract())
    return settings


def dimension(**keys: object) -> Dimension:
    """Return one dimension."""
    return parse(Dimension, keys, "params.yaml")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


WRONG = {
    "nothing": ("", "tune.space: nothing is searched; write for example"),
    "empty space": ("tune: {space: {}}", "tune.space: nothing is searched"),
    "unknown key": ("tune: {trails: 5}", "tune.trails: unknown key; did you mean 'trials'?"),
    "one trial": (
        f"tune: {{trials: 1, space: {{{KEY}: {{low: 1, high: 2}}}}}}",
        "tune.trials: found 1, must be",
    ),
    "text for a number": (
        f"tune: {{trials: many, space: {{{KEY}: {{low: 1, high: 2}}}}}}",
        "tune.trials: found 'many', must be an integer",
    ),
    "unknown key of a range": (
        f"tune: {{space: {{{KEY}: {{low: 1, hihg: 2}}}}}}",
        f"tune.space.{KEY}.hihg: unknown key; did you mean 'high'?",
    ),
    "no range": (f"tune: {{space: {{{KEY}: 3}}}}", f"tune.space.{KEY}: found 3, must be a mapping"),
    "neither": (
        f"tune: {{space: {{{KEY}: {{log: true}}}}}}",
        f"tune.space.{KEY}: must have either low and high",
    ),
    "both": (
        f"tune: {{space: {{{KEY}: {{low: 1, high: 2, values: [1, 2]}}}}}}",
        f"tune.space.{KEY}: must have either low and high, or values",
    ),
    "half a range": (f"tune: {{space: {{{KEY}: {{low: 1}}}}}}", f"tune.space.{KEY}: high: missing"),
    "low above high": (
        f"tune: {{space: {{{KEY}: {{low: 3, high: 2}}}}}}",
        f"tune.space.{KEY}: low: found 3, must be below high, which is 2",
    ),
    "log from 0": (
        f"tune: {{space: {{{KEY}: {{low: 0, high: 2, log: true}}}}}}",
        f"tune.space.{KEY}: low: found 0, must be above 0 where log is true",
    ),
    "text for an end": (
        f"tune: {{space: {{{KEY}: {{low: '1', high: 2}}}}}}",
        f"tune.space.{KEY}: low: found '1', must be a number",
    ),
    "truth for an end": (
        f"tune: {{space: {{{KEY}: {{low: false, high: 2}}}}}}",
        f"tune.space.{KEY}: low: found False, must be a number",
    ),
    "infinite": (
        f"tune: {{space: {{{KEY}: {{low: 1, high: .inf}}}}}}",
        f"tune.space.{KEY}: high: found inf, must be a number of at most 1e+300",
    ),
    "no number": (
        f"tune: {{space: {{{KEY}: {{low: .nan, high: 1}}}}}}",
        f"tune.space.{KEY}: low: found nan, must be a number",
    ),
    "too far apart": (
        f"tune: {{space: {{{KEY}: {{low: -1.0e+308, high: 1.0e+308}}}}}}",
        f"tune.space.{KEY}: low: found -1e+308, must be a number of at most 1e+300",
    ),
    "step too short": (
        f"tune: {{space: {{{KEY}: {{low: 0.0, high: 2.0, step: 1.0e-300}}}}}}",
        f"tune.space.{KEY}: step: found 1e-300, makes more than 1,000,000 steps; leave it out",
    ),
    "step too long": (
        f"tune: {{space: {{{KEY}: {{low: 1, high: 2, step: 5}}}}}}",
        f"tune.space.{KEY}: step: found 5, must be above 0 and at most high - low",
    ),
    "step and log": (
        f"tune: {{space: {{{KEY}: {{low: 1, high: 9, step: 2, log: true}}}}}}",
        f"tune.space.{KEY}: step: a grid has no orders of magnitude",
    ),
    "one value": (
        f"tune: {{space: {{{KEY}: {{values: [1]}}}}}}",
        f"tune.space.{KEY}: values: found [1], must be a list of two or more",
    ),
    "a value twice": (
        f"tune: {{space: {{{KEY}: {{values: [1, 2, 1]}}}}}}",
        f"tune.space.{KEY}: values: 1 appears twice",
    ),
    "another yardstick": (
        "tune: {space: {split.window: {low: 1, high: 9}}}",
        "tune.space.split.window: another split would be another yardstick",
    ),
    "folds": (
        "tune: {space: {evaluate.folds: {low: 2, high: 9}}}",
        "tune.space.evaluate.folds: another evaluate would be another yardstick",
    ),
    "the gate": (
        "tune: {space: {gate.alpha: {low: 0.1, high: 0.2}}}",
        "tune.space.gate.alpha: only keys of train",
    ),
    "a seed": (
        "tune: {space: {train.seed: {low: 0, high: 9}}}",
        "tune.space.train.seed: a seed is no setting",
    ),
    "a typo": (
        "tune: {space: {train.parms.C: {low: 1, high: 9}}}",
        "tune.space.train.parms.C: unknown key; did you mean 'params'?",
    ),
    "a part of another": (
        f"tune: {{space: {{{KEY}: {{low: 1, high: 9}}, train.params: {{values: [{{}}, {{C: 1}}]}}}}}}",
        f"tune.space.{KEY}: is a part of train.params, which is searched too",
    ),
    "no such parameter": (
        "tune: {space: {train.params.c: {low: 1, high: 9}}}",
        "tune.space.train.params.c: unknown to LogisticRegression; valid: C, ",
    ),
    "another estimator lacks it": (
        f"tune: {{space: {{train.estimator: {{values: [{LINEAR}, {FOREST}]}}}}}}",
        "tune.space.train.params.C: unknown to RandomForestClassifier",
    ),
    "no estimator": (
        "tune: {space: {train.estimator: {values: [sklearn.linear_model.LogisticRegression, os.system]}}}",
        "tune.space.train.estimator: 'os.system' is not",
    ),
    "a regressor": (
        "tune: {space: {train: {values: [{estimator: sklearn.svm.SVR, params: {}}, {params: {C: 2}}]}}}",
        "tune.space.train.estimator: a binary task needs a classifier",
    ),
    "a seed in a whole": (
        "tune: {space: {train: {values: [{seed: 3}, {params: {C: 2}}]}}}",
        "tune.space.train: found {'seed': 3}, must have keys of train but seed",
    ),
    "below a single value": (
        "tune: {space: {train.params.C.more: {low: 1, high: 9}}}",
        "tune.space.train.params.C.more: train.params.C is not a mapping",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_space_is_one_line_that_says_what_would_do(name: str) -> None:
    """The key, the value that was found, and what is accepted."""
    text, said = WRONG[name]
    write(text)
    with pytest.raises(PerenneError) as error:
        loaded()
    assert str(error.value).startswith(f"params.yaml: {said}"), str(error.value)
    assert "\n" not in str(error.value)


def test_space_of_every_kind_is_read() -> None:
    """Integers, numbers, grids, choices of anything, and whole estimators."""
    write(f"tune: {{trials: 9, space: {{{KEY}: {{low: 0.01, high: 10.0, log: true}}}}}}")
    assert loaded().trials == 9
    whole = f"{{estimator: {FOREST}, params: {{n_estimators: 5}}}}"
    write(f"tune: {{space: {{train: {{values: [{{params: {{C: 2.0}}}}, {whole}]}}}}}}")
    assert loaded().space["train"].kind == "choice"


def test_whole_ends_give_integers() -> None:
    """A decimal point in one of them, or in the step, gives numbers with decimals."""
    assert dimension(low=1, high=9).kind == "integer"
    assert dimension(low=1, high=9, step=2).kind == "integer"
    assert dimension(low=1, high=9.0).kind == "number"
    assert dimension(low=1, high=9, step=0.5).kind == "number"


def test_grid_ends_where_its_last_step_does() -> None:
    """A high end that the steps miss is never proposed."""
    assert dimension(low=4, high=11, step=3).ends == (4, 10)
    assert dimension(low=0.0, high=0.3, step=0.1).ends == (0.0, 0.3)


def test_proposed_numbers_are_short_and_within_the_ends() -> None:
    """Three digits, or as many as a grid needs; integers stay integers."""
    log = dimension(low=0.0123456, high=0.3, log=True)
    assert (log.neat(0.0987654), log.neat(0.0123457)) == (0.0988, 0.0123456)
    assert repr(dimension(low=4, high=64).neat(15.0)) == "15"
    assert dimension(low=0.0, high=0.3, step=0.1).neat(0.1 + 0.2) == 0.3


def test_only_values_of_the_space_are_in_it() -> None:
    """Not what lies between the steps, nor an integer's float, nor another type's equal."""
    grid = dimension(low=4, high=64, step=4)
    assert [grid.has(value) for value in (8, 9, 8.0, 68, True, "8", None)] == [True] + [False] * 6
    choice = dimension(values=[1, 2.0, None, "a", [1]])
    assert [choice.has(v) for v in (1, 2.0, None, "a", [1], 1.0, True, 2)] == [True] * 5 + [False] * 3


def test_settings_take_the_place_of_what_stands() -> None:
    """Only those that are searched; whole estimators with their params."""
    tree = {"estimator": "e", "params": {"a": 1, "b": {"c": 2}}, "seed": 0}
    spec, changes = space.applied(tree, {"train.params.b.c": 3, "train.params.new": 4})
    assert spec.params == {"a": 1, "b": {"c": 3}, "new": 4}
    assert changes == {"train.params.b.c": 3, "train.params.new": 4}
    spec, changes = space.applied(tree, {"train": {"estimator": "f", "params": {}}})
    assert (spec.estimator, spec.params, spec.seed) == ("f", {}, 0)
    assert changes == {"train.estimator": "f", "train.params": {}}


def test_param_that_is_not_written_stands_at_its_default() -> None:
    """As the estimator has it: that is what a trial is compared with."""
    write("tune: {space: {train.params.tol: {low: 1.0e-5, high: 0.1, log: true}}}")
    settings = loaded()
    assert space.present(sections.tree()["train"], settings.space, tiny.contract()) == {
        "train.params.tol": 1e-4
    }
